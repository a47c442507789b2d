# Smaller services: journald, OpenSSH, Prometheus.
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

    # nixos/modules/services/monitoring/prometheus/default.nix
    prometheus = {
      ruleFiles = mkOption {
        type = types.listOf types.path;
        default = [ ];
      };
      scrapeConfigs = mkOption {
        default = [ ];
        type = types.listOf (
          types.submodule {
            options = {
              job_name = mkOption { type = types.str; };
              static_configs = mkOption {
                default = [ ];
                type = types.listOf (
                  types.submodule {
                    options = {
                      targets = mkOption { type = types.listOf types.str; };
                      labels = mkOption {
                        type = types.attrsOf types.str;
                        default = { };
                      };
                    };
                  }
                );
              };
            };
          }
        );
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
