# nixos/modules/system/boot/systemd/journald.nix of NixOS 26.05: an option for the storage, and lines.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.services.journald = {
    storage = mkOption {
      type = types.enum [
        "persistent"
        "volatile"
        "auto"
        "none"
      ];
      default = "persistent";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
    };
  };
}
