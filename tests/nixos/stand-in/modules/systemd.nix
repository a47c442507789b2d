# nixos/modules/system/boot/systemd.nix, nixos/lib/systemd-unit-options.nix
{ lib, ... }:
let
  inherit (lib) mkOption types;

  # A key of a unit file: equal values merge, lists are concatenated, and a list accepts single values.
  key = lib.mkOptionType {
    name = "systemd option";
    merge =
      loc: defs:
      if lib.any (def: builtins.isList def.value) defs then
        lib.concatMap (def: lib.toList def.value) defs
      else
        lib.mergeEqualOption loc defs;
  };
  keys = mkOption {
    type = types.attrsOf key;
    default = { };
  };
  list = mkOption {
    type = types.listOf types.str;
    default = [ ];
  };

  unit = {
    description = mkOption {
      type = types.singleLineStr;
      default = "";
    };
    after = list;
    before = list;
    wants = list;
    requires = list;
    wantedBy = list;
    startLimitIntervalSec = mkOption { type = types.int; };
    unitConfig = keys;
  };

  units =
    more:
    mkOption {
      default = { };
      type = types.attrsOf (types.submodule { options = unit // more; });
    };
in
{
  options.systemd = {
    services = units {
      serviceConfig = keys;
      environment = mkOption {
        type = types.attrsOf (
          types.nullOr (
            types.oneOf [
              types.str
              types.path
              types.package
            ]
          )
        );
        default = { };
      };
      path = mkOption {
        type = types.listOf (
          types.nullOr (
            types.oneOf [
              types.package
              types.str
            ]
          )
        );
        default = [ ];
      };
      restartTriggers = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
      };
      stopIfChanged = mkOption {
        type = types.bool;
        default = true;
      };
      restartIfChanged = mkOption {
        type = types.bool;
        default = true;
      };
    };
    sockets = units { socketConfig = keys; };
    timers = units { timerConfig = keys; };
    paths = units { pathConfig = keys; };
  };
}
