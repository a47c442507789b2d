# `services.chatmail` on NixOS. Each file wires one part of the relay's value to the service of that name; what a relay is stands
# in relay/. In order of dependency: what is further down reads what is above.
{
  imports = [
    ./options.nix
    ./relay.nix

    ./postfix.nix
    ./dovecot.nix
    ./nginx.nix
    ./unbound.nix
    ./daemons.nix

    ./acme.nix
    ./certificate.nix

    ./journald.nix
    ./monitoring.nix
    ./firewall.nix
  ];
}
