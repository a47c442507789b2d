# `services.chatmail` on NixOS. Each file connects one part of the relay's value to the NixOS service of that name; relay/ defines
# what a relay is. In order of dependency: files further down read what is above.
#
# coturn, iroh-relay and the daemons of chatmaild run in units of the relay's own: see daemons.nix. chatmail-tls does what
# postfix-tlspol does on other servers (DANE, MTA-STS).
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

    ./journald.nix
    ./monitoring.nix
    ./firewall.nix
  ];
}
