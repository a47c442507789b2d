"""
Writes the records to the primary name server (RFC 2136), signed with TSIG.

All records of a name and type are replaced. Of TXT records, only those of the same kind (SPF, a
DKIM key, …) are, because other services use TXT records at the same name to prove ownership.
"""

import re
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update

from chatmaild.config import DnsRecord
from chatmaild.zone.records import TTL_SECONDS, ZoneError, serves_same_purpose, txt_data

SECONDS = 10.0
MAX_KEY_FILE_BYTES = 4096
ALGORITHMS = ("hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")


def send(domain: str, records: list[DnsRecord], server: str, key_file: Path) -> str:
    """Write all records in one transaction."""
    key = read_key(key_file)
    zone = _zone(domain, server, key)
    update = dns.update.UpdateMessage(zone)
    update.use_tsig(key)
    for name, kind in dict.fromkeys((record.name, record.type) for record in records):
        wanted = [record for record in records if (record.name, record.type) == (name, kind)]
        _replace(update, dns.name.from_text(name), kind, wanted, server, key)
    answer = _ask(update, server)
    if answer.rcode() != dns.rcode.NOERROR:
        raise ZoneError(f"{server} refuses the update: {dns.rcode.to_text(answer.rcode())}")
    return f"{len(records)} records written to {zone.to_text()} at {server}"


def read_key(path: Path) -> dns.tsig.Key:
    """Read a key in BIND's format: `key "NAME" { algorithm NAME; secret "BASE64"; };`."""
    try:
        text = path.read_text(encoding="ascii")[:MAX_KEY_FILE_BYTES]
    except (OSError, UnicodeDecodeError):
        raise ZoneError(f"{path}: the TSIG key cannot be read") from None
    text = re.sub(r"(?m)(?:#|//).*$", "", text)
    found = re.fullmatch(r'\s*key\s+"?([A-Za-z0-9._-]+)"?\s*\{(.*)\}\s*;?\s*', text, re.DOTALL)
    fields = dict(re.findall(r'(\w+)\s+"?([^\s";]+)"?\s*;', found[2])) if found else {}
    if found is None or "secret" not in fields:
        raise ZoneError(f'{path}: no TSIG key such as key "name" {{ algorithm …; secret "…"; }};')
    algorithm = fields.get("algorithm", "hmac-sha256").lower()
    if algorithm not in ALGORITHMS:
        raise ZoneError(f"{path}: the algorithm {algorithm} is not one of {', '.join(ALGORITHMS)}")
    try:
        return dns.tsig.Key(found[1], fields["secret"], f"{algorithm}.")
    except ValueError:
        raise ZoneError(f"{path}: the secret is not base64") from None


def _replace(
    update: dns.update.UpdateMessage,
    name: dns.name.Name,
    kind: str,
    wanted: list[DnsRecord],
    server: str,
    key: dns.tsig.Key,
) -> None:
    if kind == "CNAME":
        # An alias must be the only record (RFC 1034 3.6.2).
        update.delete(name)
    elif kind == "TXT":
        for old in _present(name, server, key):
            text = b"".join(old.strings).decode("utf-8", "replace")
            if any(serves_same_purpose(record, text) for record in wanted):
                update.delete(name, old)
        # The server would ignore a TXT record beside an alias (RFC 2136 3.4.2.2).
        update.delete(name, "CNAME")
    else:
        update.delete(name, kind)
    for record in wanted:
        data = txt_data(record.data) if kind == "TXT" else record.data
        update.add(name, TTL_SECONDS, kind, data)


def _present(name: dns.name.Name, server: str, key: dns.tsig.Key) -> list[Any]:
    query = dns.message.make_query(name, "TXT")
    query.use_tsig(key)
    answer = _ask(query, server)
    found = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.TXT)
    return list(found or [])


def _zone(domain: str, server: str, key: dns.tsig.Key) -> dns.name.Name:
    """Find the zone by the server's SOA record for the name or the nearest parent."""
    name = dns.name.from_text(domain)
    while name != dns.name.root:
        query = dns.message.make_query(name, "SOA")
        query.use_tsig(key)
        answer = _ask(query, server)
        if answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.SOA):
            return name
        name = name.parent()
    raise ZoneError(f"{server} has no zone for {domain}")


def _ask(message: dns.message.Message, server: str) -> dns.message.Message:
    try:
        return dns.query.tcp(message, server, timeout=SECONDS)
    except (dns.tsig.PeerError, dns.tsig.BadSignature, dns.tsig.BadTime) as error:
        raise ZoneError(f"{server} does not accept the TSIG key: {error}") from None
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise ZoneError(f"{server} does not answer: {type(error).__name__}") from None
