# unbound: the relay's own resolver, on loopback. It asks authoritative name servers directly, so that no third party sees which
# domains users write to. It validates DNSSEC, which DANE depends on.
# The shape is NixOS' services.unbound.settings.
{ platform, unit, ... }:
{
  unbound.server = {
    interface = [
      "127.0.0.1"
      "::1"
    ];
    access-control = [
      "127.0.0.0/8 allow"
      "::1/128 allow"
    ];
    num-threads = 1;
    # Small enough for a Raspberry Pi, large enough for thousands of peers.
    msg-cache-size = "8m";
    rrset-cache-size = "16m";
    prefetch = true;
    hide-identity = true;
    hide-version = true;
    qname-minimisation = true;
    harden-below-nxdomain = true;
    # Caches "no such name" for at most 30 s, so that the key of a new relay is found soon.
    cache-max-negative-ttl = 30;
    verbosity = 0;
    log-queries = false;
    log-replies = false;
    ${if platform.unbound.trustAnchorFile == null then null else "trust-anchor-file"} =
      platform.unbound.trustAnchorFile;
    ${if platform.unbound.rootHints == null then null else "root-hints"} = platform.unbound.rootHints;
  };
  unbound.remote-control.control-enable = false;

  # The host uses it, too.
  resolver.nameserver = "127.0.0.1";

  # The relay can neither send nor receive mail without it.
  dropins."unbound.service" = unit.addition { };
}
