# A virtual machine with virtio disks and network, as most providers rent them; x86_64, or aarch64 by changing the last line.
{ modulesPath, ... }:
{
  imports = [ "${modulesPath}/profiles/qemu-guest.nix" ];

  nixpkgs.hostPlatform = "x86_64-linux";
}
