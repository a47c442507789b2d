"""TXT look-ups for DKIM keys through the host's resolver."""

import dns.exception
import dns.name
import dns.resolver

from chatmaild.signatures.verifying import KeyUnavailableError

MAX_RECORDS = 20
"""A DNS answer may hold thousands; keys beyond these are not looked at."""


def lookup_txt(name: str, seconds: float) -> list[bytes]:
    """
    Look up as `verifying.Lookup` says, following CNAMEs; no answer is `DnsUnavailableError`.

    /etc/resolv.conf is read each time, because it may change while the filter runs.
    """
    if seconds <= 0:
        raise KeyUnavailableError
    try:
        asked = dns.name.from_text(name)
    except dns.exception.DNSException:  # too long, or no name at all: it cannot have a record
        return []
    try:
        answer = dns.resolver.Resolver().resolve(asked, "TXT", lifetime=seconds)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError) as error:
        raise KeyUnavailableError from error
    return [b"".join(record.strings) for record in list(answer)[:MAX_RECORDS]]
