# nixos/modules/services/mail/dovecot.nix, the version for Dovecot 2.4
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.dovecot2;

  scalar = types.oneOf [
    types.int
    types.str
    types.bool
    types.path
    section
  ];
  setting = types.nullOr (types.either scalar (types.nonEmptyListOf scalar));
  # A section has a type and optionally a name, from its key or from `_section`.
  section = types.submodule (
    { name, ... }:
    let
      words = builtins.match "([^ ]+) (.+)" name;
      isListItem = lib.hasPrefix "[definition " name;
    in
    {
      freeformType = types.attrsOf setting;
      options._section = {
        type = mkOption {
          type = types.nonEmptyStr;
          default = if isListItem || words == null then name else builtins.elemAt words 0;
        };
        name = mkOption {
          type = types.nullOr types.nonEmptyStr;
          default = if isListItem || words == null then null else builtins.elemAt words 1;
        };
      };
    }
  );
in
{
  options.services.dovecot2 = {
    enable = lib.mkEnableOption "Dovecot";
    package = mkOption { type = types.package; };
    createMailUser = mkOption {
      type = types.bool;
      default = true;
    };
    enablePAM = mkOption {
      type = types.bool;
      default = false;
    };
    settings = mkOption {
      default = { };
      type = types.submodule {
        freeformType = types.attrsOf setting;
        options = {
          auth_mechanisms = mkOption {
            type = types.either (types.attrsOf types.bool) (types.listOf types.str);
            default = [
              "plain"
              "login"
            ];
          };
          base_dir = mkOption {
            type = types.path;
            default = "/run/dovecot2";
          };
          default_internal_user = mkOption {
            type = types.str;
            default = "dovecot2";
          };
          default_internal_group = mkOption {
            type = types.str;
            default = "dovecot2";
          };
          dovecot_config_version = mkOption {
            type = types.nullOr types.str;
            default = null;
          };
          dovecot_storage_version = mkOption {
            type = types.nullOr types.str;
            default = null;
          };
          mail_plugin_dir = mkOption {
            type = types.path;
            default = "/run/current-system/sw/lib/dovecot/modules";
          };
          maildir_copy_with_hardlinks = mkOption {
            type = types.bool;
            default = true;
          };
          sendmail_path = mkOption {
            type = types.path;
            default = "/run/wrappers/bin/sendmail";
          };
          sieve_script_bin_path = mkOption {
            type = types.nullOr types.str;
            # Always written by the version of April 2026.
            default = "/tmp/dovecot-%{user|username|lower}";
          };
        };
      };
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion =
          !(builtins.elem null [
            cfg.settings.dovecot_config_version
            cfg.settings.dovecot_storage_version
          ]);
        message = "services.dovecot2: both versions must be set";
      }
    ];
    systemd.services.dovecot = {
      after = [ "network.target" ];
      wantedBy = [ "multi-user.target" ];
      startLimitIntervalSec = 60;
      serviceConfig = {
        Type = "notify";
        Restart = "on-failure";
        RestartSec = "1s";
        ProtectSystem = "full";
      };
    };
    users.users.dovecot2.group = cfg.settings.default_internal_group;
    users.users.dovenull.group = "dovenull";
    users.groups = {
      dovecot2 = { };
      dovenull = { };
    };
  };
}
