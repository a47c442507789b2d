# The checks of `nix flake check`: the packages with their own tests, the hosts, and the VM tests.
{
  pkgs,
  packages,
  example,
}:
let
  inherit (pkgs) lib;
  vm = file: pkgs.testers.runNixOSTest (import (./vm + "/${file}") { inherit pkgs lib; });
in
{
  inherit (packages)
    chatmaild
    dovecot
    iroh-relay
    option-docs
    ;

  formatting = pkgs.runCommand "formatting" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
    find ${../../.} -name '*.nix' -exec nixfmt --check {} +
    touch $out
  '';

  basic = vm "basic.nix";
  federation = vm "federation.nix";
  acme = vm "acme.nix";
  upgrade = vm "upgrade.nix";
}
# Not on ARM: the example is an x86_64 machine, and emulating a Raspberry Pi takes too long.
// lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") {
  example = example.config.system.build.toplevel;
}
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isAarch64 {
  raspberry-pi = vm "raspberry-pi.nix";
}
