# What is only in NixOS 26.11. The branch did not exist yet: this is what nixpkgs' master had in autumn 2026.
{ lib }:
{
  modules = [ ./journald.nix ];
  # One U-Boot for all boards, also the Pi 5 (https://github.com/NixOS/nixpkgs/pull/537862).
  packages = [ "ubootRaspberryPiAarch64" ];
}
