# What is only in NixOS 26.05 (branch nixos-26.05).
{ lib }:
{
  modules = [ ./journald.nix ];
  packages = [
    "ubootRaspberryPi3_64bit"
    "ubootRaspberryPi4_64bit"
  ];
}
