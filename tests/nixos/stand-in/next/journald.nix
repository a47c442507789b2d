# nixos/modules/system/boot/systemd/journald.nix of NixOS 26.11, in place of that of 26.05.
{ lib, ... }:
{
  disabledModules = [ ../modules/journald.nix ];

  options.services.journald.settings.Journal = lib.mkOption {
    default = { };
    type = lib.types.attrsOf (
      lib.types.oneOf [
        lib.types.bool
        lib.types.int
        lib.types.str
      ]
    );
  };
  config.services.journald.settings.Journal.Storage = lib.mkOptionDefault "persistent";
}
