# `services.chatmail` on NixOS. Each file wires one part of the relay's value to the service of that name; what a relay is stands
# in relay/. In order of dependency: what is further down reads what is above.
#
# coturn and iroh-relay are units of the relay's own, in its sandbox, and so are all of chatmaild's: daemons.nix wires them. What
# postfix-tlspol does elsewhere (DANE, MTA-STS) is chatmail-tls'.
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
