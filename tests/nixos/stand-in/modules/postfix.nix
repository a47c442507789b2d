# nixos/modules/services/mail/postfix.nix
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.postfix;

  column = type: mkOption { inherit type; };

  service =
    { name, ... }:
    {
      options = {
        name = mkOption {
          type = types.str;
          default = name;
        };
        type = mkOption {
          type = types.enum [
            "inet"
            "unix"
            "unix-dgram"
            "fifo"
            "pass"
          ];
          default = "unix";
        };
        private = column types.bool;
        privileged = column types.bool;
        chroot = column types.bool;
        wakeup = column types.int;
        wakeupUnusedComponent = column types.bool;
        maxproc = column types.int;
        command = mkOption {
          type = types.str;
          default = name;
        };
        args = mkOption {
          type = types.listOf types.str;
          default = [ ];
        };
      };
    };

  optional =
    type: default:
    mkOption {
      type = types.nullOr type;
      inherit default;
    };
in
{
  options.services.postfix = {
    enable = mkOption {
      type = types.bool;
      default = false;
    };
    package = mkOption {
      type = types.package;
      default = pkgs.postfix;
    };
    postmasterAlias = mkOption {
      type = types.str;
      default = "root";
    };
    rootAlias = mkOption {
      type = types.str;
      default = "";
    };
    settings.master = mkOption {
      type = types.attrsOf (types.submodule service);
      default = { };
    };
    settings.main = mkOption {
      type = types.submodule {
        freeformType = types.attrsOf (
          types.nullOr (
            types.oneOf [
              types.bool
              types.int
              types.str
              (types.listOf types.str)
            ]
          )
        );
        options = {
          message_size_limit = optional types.int 10240000;
          mydestination = optional (types.either types.str (types.listOf types.str)) [
            "$myhostname"
            "localhost.$mydomain"
            "localhost"
          ];
          myhostname = optional types.str null;
          mynetworks = optional (types.listOf types.str) null;
          mynetworks_style = optional (types.enum [
            "host"
            "subnet"
            "class"
          ]) "host";
          recipient_delimiter = optional types.str "";
          relayhost = optional (types.listOf types.str) [ ];
          relay_domains = optional (types.listOf types.str) [ ];
          smtp_tls_CAfile = mkOption {
            type = types.path;
            default = config.security.pki.caBundle;
          };
          smtp_tls_security_level = mkOption {
            type = types.enum [
              "none"
              "may"
              "encrypt"
              "dane"
              "dane-only"
              "fingerprint"
              "verify"
              "secure"
            ];
            default = "may";
          };
          smtpd_tls_chain_files = mkOption {
            type = types.listOf types.path;
            default = [ ];
          };
          smtpd_tls_security_level = mkOption {
            type = types.enum [
              "none"
              "may"
              "encrypt"
            ];
            default = if cfg.settings.main.smtpd_tls_chain_files != [ ] then "may" else "none";
          };
        };
      };
    };
  };

  config = lib.mkIf cfg.enable {
    services.postfix.settings.main =
      lib.mapAttrs (_: lib.mkDefault) {
        compatibility_level = "3.11.4";
        mail_owner = "postfix";
        default_privs = "nobody";
        data_directory = "/var/lib/postfix/data";
        queue_directory = "/var/lib/postfix/queue";
        setgid_group = "postdrop";
      }
      // lib.optionalAttrs (cfg.postmasterAlias != "" || cfg.rootAlias != "") {
        alias_maps = [ "hash:/etc/postfix/aliases" ];
      };

    # Standard services that could conflict with ours: the same names, or columns with the same priority.
    services.postfix.settings.master = {
      smtp_inet = {
        name = "smtp";
        type = "inet";
        private = false;
        command = "smtpd";
      };
      cleanup = {
        private = false;
        maxproc = 0;
      };
      lmtp = { };
      smtp = { };
    };

    systemd.services.postfix = {
      after = [
        "network.target"
        "postfix-setup.service"
      ];
      requires = [ "postfix-setup.service" ];
      wantedBy = [ "multi-user.target" ];
      serviceConfig = {
        Type = "forking";
        Restart = "always";
        CapabilityBoundingSet = [ "~CAP_NET_ADMIN CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_MODULE" ];
      };
    };

    users.users.postfix.group = "postfix";
    users.groups.postfix = { };
  };
}
