# unbound: the relay's own resolver, on loopback. It asks the name servers of the world itself, so that no third party sees with
# whom the relay's people talk, and validates DNSSEC, without which DANE would mean nothing.
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
    # A relay that has just published its key must not stay unknown: "no such name" is kept for 30 s at most.
    cache-max-negative-ttl = 30;
    verbosity = 0;
    log-queries = false;
    log-replies = false;
    ${if platform.unbound.trustAnchorFile == null then null else "trust-anchor-file"} =
      platform.unbound.trustAnchorFile;
    ${if platform.unbound.rootHints == null then null else "root-hints"} = platform.unbound.rootHints;
  };
  unbound.remote-control.control-enable = false;

  # The host resolves names with it, too.
  resolver.nameserver = "127.0.0.1";

  # Without it no mail comes in or goes out.
  dropins."unbound.service" = unit.addition { };
}
