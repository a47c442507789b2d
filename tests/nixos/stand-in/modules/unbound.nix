# nixos/modules/services/networking/unbound.nix
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.unbound;

  primitive = types.oneOf [
    types.int
    types.str
    types.bool
    types.float
  ];
  clause = types.either types.str (types.attrsOf (types.either primitive (types.listOf primitive)));
in
{
  options.services.unbound = {
    enable = lib.mkEnableOption "unbound";
    resolveLocalQueries = mkOption {
      type = types.bool;
      default = true;
    };
    settings = mkOption {
      default = { };
      type = types.submodule {
        freeformType = types.attrsOf (types.either clause (types.listOf clause));
        options.remote-control.control-enable = mkOption {
          type = types.bool;
          default = false;
        };
      };
    };
  };

  config = lib.mkIf cfg.enable {
    services.unbound.settings.server = {
      interface = lib.mkDefault [
        "127.0.0.1"
        "::1"
      ];
      access-control = lib.mkDefault [
        "127.0.0.0/8 allow"
        "::1/128 allow"
      ];
      auto-trust-anchor-file = "/var/lib/unbound/root.key";
      chroot = ''""'';
      directory = lib.mkDefault "/var/lib/unbound";
      ip-freebind = lib.mkDefault true;
      tls-cert-bundle = lib.mkDefault config.security.pki.caBundle;
      username = ''""'';
    };
    systemd.services.unbound = {
      before = [ "nss-lookup.target" ];
      serviceConfig = {
        User = "unbound";
        Type = "notify";
      };
    };
    users.users.unbound = {
      group = "unbound";
      isSystemUser = true;
    };
    users.groups.unbound = { };
  };
}
