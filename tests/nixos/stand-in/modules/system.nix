# The system around the services: users, files, network, boot, disks, Nix.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  false' = mkOption {
    type = types.bool;
    default = false;
  };
  list =
    type:
    mkOption {
      type = types.listOf type;
      default = [ ];
    };
in
{
  options = {
    # nixos/modules/misc/assertions.nix, nixpkgs.nix, version.nix
    assertions = list types.unspecified;
    nixpkgs.hostPlatform = mkOption { type = types.str; };
    system = {
      stateVersion = mkOption { type = types.str; };
      extraDependencies = list types.package;
      # read
      build = mkOption {
        type = types.lazyAttrsOf types.raw;
        default = { };
      };
    };

    # nixos/modules/config/users-groups.nix
    users.users = mkOption {
      default = { };
      type = types.attrsOf (
        types.submodule {
          options = {
            isSystemUser = false';
            group = mkOption {
              type = types.str;
              default = "";
            };
            description = mkOption {
              type = types.str;
              default = "";
            };
            openssh.authorizedKeys.keys = list types.singleLineStr;
          };
        }
      );
    };
    users.groups = mkOption {
      type = types.attrsOf (types.submodule { options.members = list types.str; });
      default = { };
    };

    # nixos/modules/system/etc/etc.nix, config/system-path.nix, config/sysctl.nix
    environment = {
      etc = mkOption {
        default = { };
        type = types.attrsOf (
          types.submodule {
            options = {
              text = mkOption {
                type = types.nullOr types.lines;
                default = null;
              };
              source = mkOption {
                type = types.nullOr types.path;
                default = null;
              };
              mode = mkOption {
                type = types.str;
                default = "symlink";
              };
            };
          }
        );
      };
      systemPackages = list types.package;
    };
    boot = {
      kernel.sysctl = mkOption {
        default = { };
        type = types.lazyAttrsOf (
          types.nullOr (
            types.oneOf [
              types.bool
              types.str
              types.int
            ]
          )
        );
      };
      kernelParams = list types.str;
      loader = {
        grub.enable = mkOption {
          type = types.bool;
          default = true;
        };
        grub.device = mkOption {
          type = types.str;
          default = "";
        };
        grub.efiSupport = false';
        grub.efiInstallAsRemovable = false';
        efi.efiSysMountPoint = mkOption {
          type = types.str;
          default = "/boot";
        };
        generic-extlinux-compatible = {
          enable = false';
          configurationLimit = mkOption {
            type = types.int;
            default = 20;
          };
          # read
          populateCmd = mkOption {
            type = types.str;
            default = "populate-extlinux";
          };
        };
      };
    };

    # nixos/modules/tasks/filesystems.nix, config/swap.nix, config/zram.nix
    fileSystems = mkOption {
      default = { };
      type = types.attrsOf (
        types.submodule {
          options = {
            device = mkOption {
              type = types.nullOr types.nonEmptyStr;
              default = null;
            };
            # Mandatory since 26.05.
            fsType = mkOption { type = types.nonEmptyStr; };
            options = mkOption {
              type = types.listOf types.nonEmptyStr;
              default = [ "defaults" ];
            };
          };
        }
      );
    };
    swapDevices = list (
      types.submodule {
        options = {
          device = mkOption { type = types.nonEmptyStr; };
          size = mkOption {
            type = types.nullOr types.int;
            default = null;
          };
        };
      }
    );
    zramSwap.enable = false';

    # nixos/modules/services/networking/firewall.nix, tasks/network-interfaces.nix
    networking = {
      hostName = mkOption {
        type = types.str;
        default = "nixos";
      };
      timeServers = list types.str;
      firewall.allowedTCPPorts = list types.port;
      firewall.allowedUDPPortRanges = list (types.attrsOf types.port);
    };

    # nixos/modules/services/misc/nix-gc.nix, config/nix.nix
    nix = {
      gc.automatic = false';
      gc.options = mkOption {
        type = types.singleLineStr;
        default = "";
      };
      settings = mkOption {
        type = types.attrsOf types.unspecified;
        default = { };
      };
    };
    documentation.enable = mkOption {
      type = types.bool;
      default = true;
    };
    hardware.enableRedistributableFirmware = false';
  };

  config = {
    system.build.toplevel = rec {
      type = "derivation";
      name = "nixos-system-${config.networking.hostName}";
      outPath = "/nix/store/${lib.fixedWidthString 32 "0" ""}-${name}";
      drvPath = "${outPath}.drv";
    };
    users.users.root.group = "root";
    boot.kernel.sysctl = {
      "fs.inotify.max_user_instances" = lib.mkDefault 524288;
      "fs.inotify.max_user_watches" = lib.mkDefault 524288;
    };
  };
}
