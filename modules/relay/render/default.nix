# A whole relay as text: the files to write and the units to enable. For the container; NixOS takes the data.
{ relay, platform }:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    listToAttrs
    ;
  once = import ../once.nix;
  postfix = import ./postfix.nix;
  systemd = import ./systemd.nix;

  unitFiles =
    suffix: set:
    listToAttrs (
      map (name: {
        name = "/etc/systemd/system/${name}${suffix}";
        value.text = systemd.unit set.${name};
      }) (attrNames set)
    );
in
{
  # path -> { text; mode ? "0644"; }, all of them root's
  files = once "files" [
    {
      from = "a part";
      set = relay.files;
    }
    {
      from = "render";
      set = {
        "/etc/postfix/main.cf".text = postfix.main relay.postfix.main;
        "/etc/postfix/master.cf".text = postfix.master (platform.postfix.master // relay.postfix.master);
        "/etc/dovecot/dovecot.conf".text = import ./dovecot.nix relay.dovecot;
        "/etc/nginx/nginx.conf".text = import ./nginx.nix (
          import ../nginx/whole.nix {
            inherit platform;
            inherit (relay) nginx;
          }
        );
        "/etc/unbound/unbound.conf".text = import ./unbound.nix relay.unbound;
        "/etc/sysusers.d/chatmail.conf".text = systemd.sysusers { inherit (relay) users groups; };
        "/etc/sysctl.d/60-chatmail.conf".text = concatStringsSep "" (
          map (name: "${name} = ${toString relay.sysctl.${name}}\n") (attrNames relay.sysctl)
        );
      };
    }
    {
      from = "units";
      set = unitFiles "" relay.units;
    }
    {
      from = "dropins";
      set = unitFiles ".d/chatmail.conf" relay.dropins;
    }
  ];

  enable = filter (name: relay.units.${name} ? Install) (attrNames relay.units) ++ attrNames relay.dropins;
}
