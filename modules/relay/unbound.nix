# unbound: the relay's own resolver, on loopback. It queries the authoritative name servers itself, so that no third party sees
# which servers the relay exchanges mail with. It validates DNSSEC, because DANE depends on it.
# The shape is that of NixOS' services.unbound.settings.
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
    # Negative answers are cached for at most 30 s, so that a relay that has just published its records is found soon.
    cache-max-negative-ttl = 30;
    verbosity = 0;
    log-queries = false;
    log-replies = false;
    ${if platform.unbound.trustAnchorFile == null then null else "trust-anchor-file"} =
      platform.unbound.trustAnchorFile;
    ${if platform.unbound.rootHints == null then null else "root-hints"} = platform.unbound.rootHints;
  };
  unbound.remote-control.control-enable = false;

  # Without the resolver no mail comes in or goes out.
  dropins."unbound.service" = unit.addition { service = { }; };
}
