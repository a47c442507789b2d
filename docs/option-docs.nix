# The option reference as NixOS' own documentation tools print it, for `nix build .#option-docs`.
{
  lib,
  pkgs,
  nixosOptionsDoc,
}:
let
  evaluated = lib.evalModules {
    modules = [
      ../modules/options.nix
      { _module.args.pkgs = pkgs; }
    ];
  };
in
(nixosOptionsDoc {
  options = { inherit (evaluated.options) services; };
  # Where an option is declared is a place in this repository, not in somebody's store.
  transformOptions = option: option // { declarations = [ "modules/options.nix" ]; };
  warningsAreErrors = true;
}).optionsCommonMark
