# nixos/modules/services/web-servers/nginx/default.nix
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.nginx;
  lines = mkOption {
    type = types.lines;
    default = "";
  };
in
{
  options.services.nginx = {
    enable = lib.mkEnableOption "nginx";
    # read
    group = mkOption {
      type = types.str;
      default = "nginx";
    };
    # read
    defaultMimeTypes = mkOption {
      type = types.path;
      default = "/nix/store/${lib.fixedWidthString 32 "0" ""}-mailcap/etc/nginx/mime.types";
    };
    enableReload = mkOption {
      type = types.bool;
      default = false;
    };
    logError = mkOption {
      type = types.str;
      default = "stderr";
    };
    appendConfig = lines;
    eventsConfig = lines;
    streamConfig = lines;
    commonHttpConfig = lines;
    appendHttpConfig = lines;
    defaultListen = mkOption {
      default = [ ];
      type = types.listOf (
        types.submodule {
          options = {
            addr = mkOption { type = types.str; };
            port = mkOption {
              type = types.nullOr types.port;
              default = null;
            };
            ssl = mkOption {
              type = types.nullOr types.bool;
              default = null;
            };
            proxyProtocol = mkOption {
              type = types.bool;
              default = false;
            };
          };
        }
      );
    };
    virtualHosts = mkOption {
      type = types.attrsOf (types.submodule { });
      default.localhost = { };
    };
  };

  config = lib.mkIf cfg.enable {
    systemd.services.nginx = {
      after = [ "network.target" ];
      wantedBy = [ "multi-user.target" ];
      startLimitIntervalSec = 60;
      stopIfChanged = false;
      serviceConfig = {
        User = "nginx";
        Group = cfg.group;
        Restart = "always";
        RestartSec = "10s";
        ProtectSystem = "strict";
      };
    };
    users.users.nginx = {
      inherit (cfg) group;
      isSystemUser = true;
    };
    users.groups.nginx = { };
  };
}
