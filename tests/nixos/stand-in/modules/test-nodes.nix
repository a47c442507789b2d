# Options that only nodes of VM tests set: nixos/modules/virtualisation/qemu-vm.nix, and others that our hosts do not use.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  size = mkOption {
    type = types.ints.positive;
    default = 1024;
  };
  addresses = mkOption {
    default = [ ];
    type = types.listOf (
      types.submodule {
        options = {
          address = mkOption { type = types.str; };
          prefixLength = mkOption { type = types.ints.between 0 128; };
        };
      }
    );
  };
in
{
  options = {
    virtualisation.memorySize = size;
    virtualisation.diskSize = size;

    specialisation = mkOption {
      default = { };
      type = types.attrsOf (
        types.submodule { options.configuration = mkOption { type = types.deferredModule; }; }
      );
    };
    system.tools.nixos-rebuild.enable = mkOption {
      type = types.bool;
      default = true;
    };
    networking.interfaces = mkOption {
      default = { };
      type = types.attrsOf (
        types.submodule {
          options.ipv4.addresses = addresses;
          options.ipv6.addresses = addresses;
        }
      );
    };
    networking.firewall.allowedUDPPorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
    };
    services.unbound.enableRootTrustAnchor = mkOption {
      type = types.bool;
      default = true;
    };
    security.acme.certs = mkOption {
      type = types.attrsOf (
        types.submodule {
          options.validMinDays = mkOption {
            type = types.nullOr types.int;
            default = null;
          };
        }
      );
    };
  };
}
