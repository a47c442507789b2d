# A stand-in for nixpkgs, to evaluate modules/, hosts/ and flake.nix where nixpkgs cannot be fetched. It consists of a lib, the
# options that we set (modules/), and packages with names and paths but no content (packages.nix). releases/ has what differs
# between NixOS releases.
{
  lib,
  release ? "26.05",
}:
let
  differences = import (./releases + "/${release}") { inherit lib; };

  packagesFor =
    system:
    import ./packages.nix {
      inherit lib system;
      inherit (differences) packages;
      nixosSystem = standIn.lib.nixosSystem;
    };

  standIn = {
    outPath = "/nix/store/${lib.fixedWidthString 32 "0" ""}-nixpkgs";
    lib = lib // {
      nixosSystem =
        {
          modules,
          specialArgs ? { },
          system ? null,
        }:
        let
          evaluated = lib.evalModules {
            specialArgs = {
              modulesPath = toString ./modules;
            }
            // specialArgs;
            modules = modules ++ differences.modules ++ [
              ./modules
              (
                { config, ... }:
                {
                  _module.args.pkgs = packagesFor config.nixpkgs.hostPlatform;
                }
              )
            ];
          };
        in
        evaluated
        // {
          # NixOS evaluates `assertions` like this before it builds anything.
          refusals = map (a: a.message) (lib.filter (a: !a.assertion) evaluated.config.assertions);
        };
    };
    legacyPackages = lib.genAttrs [
      "aarch64-linux"
      "x86_64-linux"
    ] packagesFor;
  };
in
standIn
