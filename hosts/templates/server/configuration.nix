{
  services.chatmail = {
    enable = true;
    domain = "chat.example.org";
    # Giving it accepts the terms of service of Let's Encrypt.
    certificate.email = "operator@example.org";
  };

  boot.loader.grub.device = "/dev/vda";

  networking.hostName = "chat";
  services.openssh = {
    enable = true;
    settings.PasswordAuthentication = false;
  };
  users.users.root.openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA... operator@example.org" ];

  # The release this host was installed with; it is not raised by updates.
  system.stateVersion = "26.05";
}
