# One disk with boot partitions for GRUB, swap, and one file system for the rest. hosts/README.md has the commands that create it.
{ pkgs, ... }:
{
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
    # Mailboxes are many small files that are read once. Updating access times would cause a write for each read.
    options = [ "noatime" ];
  };
  fileSystems."/boot/efi" = {
    device = "/dev/disk/by-label/EFI";
    fsType = "vfat";
  };

  swapDevices = [ { device = "/dev/disk/by-label/swap"; } ];

  # This disk boots with BIOS and with UEFI. Virtual machines of some providers use BIOS; others, and all ARM machines, use UEFI.
  boot.loader = {
    efi.efiSysMountPoint = "/boot/efi";
    grub = {
      device = if pkgs.stdenv.hostPlatform.isAarch64 then "nodev" else "/dev/vda";
      efiSupport = true;
      efiInstallAsRemovable = true;
    };
  };
}
