# A relay on a Raspberry Pi that needs only a card writer for its set-up. chatmail.txt has its settings: fill it in here before
# you build the image, or afterwards on the card (setup.nix).
{ lib, ... }:
let
  card = import ./card.nix (builtins.readFile ./chatmail.txt);
in
{
  imports = [
    ../../modules
    ./hardware.nix
    ./setup.nix
  ];

  # With an unchanged chatmail.txt the image waits for the file on the card. Until then it runs no daemon, opens no port and
  # allows no login.
  services.chatmail = lib.mkIf card.given (card.settings // { enable = true; });

  services.openssh = {
    enable = card.given;
    settings.PasswordAuthentication = false;
  };
  users.users.root.openssh.authorizedKeys.keys = card.sshKeys;

  assertions = map (problem: {
    assertion = false;
    message = "hosts/raspberry-pi/chatmail.txt: ${problem}";
  }) card.problems;
}
