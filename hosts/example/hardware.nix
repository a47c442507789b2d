# A virtual machine with virtio disk and network, as most providers offer. For ARM, change the last line to aarch64-linux.
{ modulesPath, ... }:
{
  imports = [ "${modulesPath}/profiles/qemu-guest.nix" ];

  nixpkgs.hostPlatform = "x86_64-linux";
}
