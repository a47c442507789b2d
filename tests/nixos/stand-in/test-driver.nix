# Imitates pkgs.testers.runNixOSTest: evaluates a test's nodes, and returns its script as text.
{
  lib,
  nixosSystem,
  module,
  pkgs,
}:
let
  evaluated = lib.evalModules {
    specialArgs = { inherit pkgs; };
    modules = [
      module
      {
        options = {
          name = lib.mkOption { type = lib.types.str; };
          nodes = lib.mkOption { type = lib.types.lazyAttrsOf lib.types.deferredModule; };
          testScript = lib.mkOption { type = lib.types.str; };
          globalTimeout = lib.mkOption {
            type = lib.types.int;
            default = 3600;
          };
          node.pkgsReadOnly = lib.mkOption {
            type = lib.types.bool;
            default = true;
          };
        };
      }
    ];
  };
  inherit (evaluated) config;
  systems = lib.mapAttrs (
    name: node:
    nixosSystem {
      specialArgs = { inherit nodes; };
      modules = [
        node
        ./modules/test-nodes.nix
        {
          networking.hostName = lib.mkOptionDefault name;
          nixpkgs.hostPlatform = lib.mkDefault pkgs.stdenv.hostPlatform.system;
          system.stateVersion = lib.mkDefault "26.05";
        }
      ];
    }
  ) config.nodes;
  nodes = lib.mapAttrs (_: system: system.config) systems;
in
{
  inherit (config) name testScript;
  nodes = systems;
}
