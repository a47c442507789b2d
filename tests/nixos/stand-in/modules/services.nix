# Smaller services: OpenSSH, Prometheus.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.services = {
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
