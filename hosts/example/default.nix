# A relay on a small virtual server (1 CPU, 1 GB of memory, 10 GB of disk). Set your own domain, mail address and ssh key here;
# hosts/README.md explains the installation.
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
    # Needed by `nix flake update`.
    settings.experimental-features = [
      "flakes"
      "nix-command"
    ];
    # Old generations are kept for a month for rollbacks.
    gc = {
      automatic = true;
      options = "--delete-older-than 30d";
    };
  };

  # The NixOS release this host was installed with. Do not change it when you update.
  system.stateVersion = "26.05";
}
