{
  services.chatmail = {
    enable = true;
    domain = "chat.example.org";
    # By setting this you accept the terms of service of Let's Encrypt.
    certificate.email = "operator@example.org";
  };

  services.openssh = {
    enable = true;
    settings.PasswordAuthentication = false;
  };
  users.users.root.openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA... operator@example.org" ];
}
