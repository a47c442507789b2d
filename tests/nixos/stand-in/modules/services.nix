# Smaller services: journald, OpenSSH.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.services = {
    # nixos/modules/system/boot/systemd/journald.nix
    journald = {
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

    # nixos/modules/services/networking/ssh/sshd.nix
    openssh = {
      enable = lib.mkEnableOption "OpenSSH";
      settings = mkOption {
        default = { };
        type = types.submodule {
          freeformType = types.attrsOf (
            types.nullOr (
              types.oneOf [
                types.bool
                types.int
                types.str
              ]
            )
          );
        };
      };
    };
  };
}
