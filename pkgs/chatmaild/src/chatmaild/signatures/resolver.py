"""TXT look-ups for DKIM keys through the host's resolver."""

import dns.exception
import dns.name
import dns.resolver

from chatmaild.signatures.verifying import KeyUnavailableError

MAX_RECORDS = 20
"""A DNS answer may contain thousands of records; those beyond this are ignored."""


def lookup_txt(name: str, seconds: float) -> list[bytes]:
    """
    Look up TXT records as `verifying.Lookup` requires, following CNAMEs.

    Raises `KeyUnavailableError` if there is no answer. /etc/resolv.conf is read each time, because
    it may change while the filter runs.
    """
    if seconds <= 0:
        raise KeyUnavailableError
    try:
        asked = dns.name.from_text(name)
    except dns.exception.DNSException:  # too long or not a name: it cannot have a record
        return []
    try:
        answer = dns.resolver.Resolver().resolve(asked, "TXT", lifetime=seconds)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError) as error:
        raise KeyUnavailableError from error
    return [b"".join(record.strings) for record in list(answer)[:MAX_RECORDS]]
