# One disk: boot areas for GRUB, swap, and everything else in one file system. hosts/README.md has the commands that make it.
{ pkgs, ... }:
{
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
    # Mailboxes are many small files that are read once: no write for each reading.
    options = [ "noatime" ];
  };
  fileSystems."/boot/efi" = {
    device = "/dev/disk/by-label/EFI";
    fsType = "vfat";
  };

  swapDevices = [ { device = "/dev/disk/by-label/swap"; } ];

  # Some providers' machines start by BIOS, others and all ARM ones by UEFI: this disk does either way.
  boot.loader = {
    efi.efiSysMountPoint = "/boot/efi";
    grub = {
      device = if pkgs.stdenv.hostPlatform.isAarch64 then "nodev" else "/dev/vda";
      efiSupport = true;
      efiInstallAsRemovable = true;
    };
  };
}
