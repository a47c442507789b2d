# nixos/modules/system/boot/systemd/journald.nix of NixOS 26.11: one option for all of journald.conf(5)
# (https://github.com/NixOS/nixpkgs/pull/536538).
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.services.journald = {
    settings.Journal = mkOption {
      default = { };
      type = types.attrsOf (
        types.oneOf [
          types.bool
          types.int
          types.str
        ]
      );
    };
  };
  config.services.journald.settings.Journal.Storage = lib.mkOptionDefault "persistent";
}
