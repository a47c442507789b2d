# A relay on a Raspberry Pi that is set up with nothing but a card writer: chatmail.txt says what it is, given here before the
# image is built, or on the card itself afterwards (setup.nix).
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

  # An untouched chatmail.txt makes the image that waits for one on the card: no daemon, no open port, no login.
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
