# A whole relay as text: the files to write, the units to enable, and which unit reads what. The container uses this; NixOS uses
# the data itself.
{ relay, platform }:
let
  inherit (builtins)
    attrNames
    attrValues
    concatLists
    concatStringsSep
    filter
    mapAttrs
    zipAttrsWith
    ;
  once = import ../once.nix;
  postfix = import ./postfix.nix;
  systemd = import ./systemd.nix;

  # Files of units with the suffix: unit -> path -> { text; }
  ofUnits =
    suffix:
    mapAttrs (
      name: unit: {
        "/etc/systemd/system/${name}${suffix}".text = systemd.unit unit;
      }
    );
  unitFiles = ofUnits "" relay.units;
  dropinFiles = ofUnits ".d/chatmail.conf" relay.dropins;

  # Configuration of daemons that are not ours: unit -> path -> { text; }
  configuration = {
    "postfix.service" = {
      "/etc/postfix/main.cf".text = postfix.main relay.postfix.main;
      "/etc/postfix/master.cf".text = postfix.master (platform.postfix.master // relay.postfix.master);
    };
    "dovecot.service"."/etc/dovecot/dovecot.conf".text = import ./dovecot.nix relay.dovecot;
    "nginx.service"."/etc/nginx/nginx.conf".text = import ./nginx.nix (
      import ../nginx/whole.nix {
        inherit platform;
        inherit (relay) nginx;
      }
    );
    "unbound.service"."/etc/unbound/unbound.conf".text = import ./unbound.nix relay.unbound;
    "systemd-journald.service"."/etc/systemd/journald.conf.d/60-chatmail.conf".text =
      systemd.journald relay.journal;
    "systemd-sysctl.service"."/etc/sysctl.d/60-chatmail.conf".text = lines " = " relay.sysctl;
  };

  # No unit reads these when it starts: systemd-sysusers runs before, and the C library reads resolv.conf again when it changes.
  others = {
    "/etc/sysusers.d/chatmail.conf".text = systemd.sysusers { inherit (relay) users groups; };
    "/etc/resolv.conf".text = lines " " relay.resolver;
  };

  lines =
    between: set:
    concatStringsSep "" (
      map (name: "${name}${between}${toString set.${name}}\n") (attrNames set)
    );

  written = from: map (set: { inherit from set; });
in
{
  # path -> { text; mode ? "0644"; }, all of them root's
  files = once "files" (
    written "a part" [ relay.files ]
    ++ written "render/default.nix" ([ others ] ++ attrValues configuration)
    ++ written "a unit" (attrValues unitFiles)
    ++ written "a drop-in" (attrValues dropinFiles)
  );

  # unit -> paths in `files` that it reads when it starts, those of the unit itself among them
  reads = zipAttrsWith (_: concatLists) [
    (mapAttrs (_: attrNames) unitFiles)
    (mapAttrs (_: attrNames) dropinFiles)
    (mapAttrs (_: attrNames) configuration)
    (mapAttrs (_: unit: unit.reads or [ ]) relay.units)
    (mapAttrs (_: unit: unit.reads) relay.dropins)
  ];

  # What starts at boot.
  enable =
    filter (name: relay.units.${name} ? Install) (attrNames relay.units) ++ attrNames relay.dropins;
}
