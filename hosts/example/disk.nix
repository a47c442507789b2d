# One disk: a boot area for GRUB, swap, and everything else in one file system. hosts/README.md has the commands that make it.
{
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
    # Mailboxes are many small files that are read once: no write for each reading.
    options = [ "noatime" ];
  };

  swapDevices = [ { device = "/dev/disk/by-label/swap"; } ];

  boot.loader.grub.device = "/dev/vda";
}
