# nixos/modules/security/acme/default.nix, security/ca.nix
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.security.acme;
in
{
  options.security = {
    # read
    pki.caBundle = mkOption {
      type = types.path;
      default = "/etc/ssl/certs/ca-certificates.crt";
      readOnly = true;
    };
    acme = {
      acceptTerms = mkOption {
        type = types.bool;
        default = false;
      };
      certs = mkOption {
        default = { };
        type = types.attrsOf (
          types.submodule {
            options = {
              email = mkOption {
                type = types.nullOr types.str;
                default = null;
              };
              webroot = mkOption {
                type = types.nullOr types.str;
                default = null;
              };
              extraDomainNames = mkOption {
                type = types.listOf types.str;
                default = [ ];
              };
              group = mkOption {
                type = types.str;
                default = "acme";
              };
              reloadServices = mkOption {
                type = types.listOf types.str;
                default = [ ];
              };
              extraLegoRenewFlags = mkOption {
                type = types.listOf types.str;
                default = [ ];
              };
            };
          }
        );
      };
    };
  };

  config.systemd.services = lib.mkMerge (
    map (name: {
      "acme-${name}".serviceConfig.Type = "oneshot";
      "acme-order-renew-${name}" = {
        after = [ "acme-${name}.service" ];
        serviceConfig.Type = "oneshot";
      };
    }) (lib.attrNames cfg.certs)
  );
}
