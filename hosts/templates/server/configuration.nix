{
  services.chatmail = {
    enable = true;
    domain = "chat.example.org";
    # Giving it accepts the terms of service of Let's Encrypt.
    certificate.email = "operator@example.org";
  };

  # For the disk that hosts/README.md makes, which starts by BIOS and by UEFI; "nodev" in place of the disk on ARM.
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

  # `nix flake update`
  nix.settings.experimental-features = [
    "flakes"
    "nix-command"
  ];

  # The release this host was installed with; it is not raised by updates.
  system.stateVersion = "26.05";
}
