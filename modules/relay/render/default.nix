# A whole relay as text: the files to write, the units to enable, the users to make. For the container; NixOS takes the data.
{
  files,
  users,
  units,
  dropins,
  sysctl,
  platform,
  postfix,
  dovecot,
  nginx,
  unbound,
}:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    listToAttrs
    map
    mapAttrs
    ;
  postfixText = import ./postfix.nix;
  systemd = import ./systemd.nix;
  prefixed =
    prefix: suffix: set:
    listToAttrs (
      map (name: {
        name = "${prefix}${name}${suffix}";
        value = set.${name};
      }) (attrNames set)
    );
  unitTexts = set: mapAttrs (_: unit: { text = systemd.unit unit; }) set;
in
{
  # path -> { text; mode ? "0644"; }, all of them root's
  files =
    files
    // {
      "/etc/postfix/main.cf".text = postfixText.main postfix.main;
      "/etc/postfix/master.cf".text = postfixText.master (platform.postfix.master // postfix.master);
      "/etc/dovecot/dovecot.conf".text = import ./dovecot.nix dovecot;
      "/etc/nginx/nginx.conf".text = import ./nginx.nix nginx;
      "/etc/unbound/unbound.conf".text = import ./unbound.nix unbound;
      "/etc/sysusers.d/chatmail.conf".text = systemd.sysusers users;
      "/etc/sysctl.d/60-chatmail.conf".text = concatStringsSep "" (
        map (name: "${name} = ${toString sysctl.${name}}\n") (attrNames sysctl)
      );
    }
    // prefixed "/etc/systemd/system/" "" (unitTexts units)
    // prefixed "/etc/systemd/system/" ".d/chatmail.conf" (unitTexts dropins);

  enable = filter (name: units.${name} ? Install) (attrNames units);
}
