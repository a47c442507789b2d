# A relay on a small virtual server (1 CPU, 1 GB of memory, 10 GB of disk): settings only. Copy this directory, change the three
# names, and read hosts/README.md.
{
  imports = [
    ../../modules
    ./disk.nix
    ./hardware.nix
  ];

  services.chatmail = {
    enable = true;
    domain = "chat.example.org";
    certificate.email = "operator@example.org";
  };

  networking.hostName = "chat";

  services.openssh = {
    enable = true;
    settings.PasswordAuthentication = false;
  };
  users.users.root.openssh.authorizedKeys.keys = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0example0example0example0example0example0exam operator@example.org"
  ];

  nix = {
    # `nix flake update`
    settings.experimental-features = [
      "flakes"
      "nix-command"
    ];
    # Old generations stay for a month to roll back to; what is older makes room.
    gc = {
      automatic = true;
      options = "--delete-older-than 30d";
    };
  };

  # The release this host was installed with; it is not raised by updates.
  system.stateVersion = "26.05";
}
