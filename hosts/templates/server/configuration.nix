{
  services.chatmail = {
    enable = true;
    domain = "chat.example.org";
    # By setting this you accept the terms of service of Let's Encrypt.
    certificate.email = "operator@example.org";
  };

  # For the disk layout of hosts/README.md, which boots with BIOS and with UEFI. On ARM, use "nodev" instead of the disk.
  boot.loader.grub.device = "/dev/vda";
  boot.loader.grub.efiSupport = true;
  boot.loader.grub.efiInstallAsRemovable = true;
  boot.loader.efi.efiSysMountPoint = "/boot/efi";

  networking.hostName = "chat";
  services.openssh = {
    enable = true;
    settings.PasswordAuthentication = false;
  };
  users.users.root.openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA... operator@example.org" ];

  # Needed by `nix flake update`.
  nix.settings.experimental-features = [
    "flakes"
    "nix-command"
  ];

  # The NixOS release this host was installed with. Do not change it when you update.
  system.stateVersion = "26.05";
}
