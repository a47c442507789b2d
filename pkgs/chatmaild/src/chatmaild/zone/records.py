"""
The zone of a relay: every record that it needs, and their lines in a zone file.

The configuration contains the records that follow from the settings. The host adds three kinds: its
addresses, its public DKIM keys, and the public key of its certificate, which other servers check by
DANE.
"""

import ipaddress
import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from dns import rdataclass, rdatatype
from dns.rdtypes.ANY.TXT import TXT

from chatmaild.config import Config, DnsRecord
from chatmaild.signatures import keys

TTL_SECONDS = 3600
# RFC 1035 3.3: a character-string holds at most 255 octets.
MAX_STRING_BYTES = 255


class ZoneError(Exception):
    """Records cannot be made, queried or written; the message is a sentence for the operator."""


def records(config: Config) -> list[DnsRecord]:
    """
    Collect every record: addresses first, then the configured ones, then the DKIM keys.

    Raises:
        ZoneError: the host has no address, or its addresses cannot be listed.
        ConfigError: a DKIM key is missing or cannot be read.

    """
    origin = f"{config.domain}."
    return [
        *(
            DnsRecord(origin, "AAAA" if ":" in address else "A", address, "required")
            for address in addresses(config)
        ),
        *config.dns,
        *(
            DnsRecord(
                f"{key.selector}._domainkey.{origin}",
                "TXT",
                keys.dns_record(keys.read(key.file, key.kind)),
                key.need,
            )
            for key in config.dkim
        ),
        *tlsa(config),
    ]


def tlsa(config: Config) -> list[DnsRecord]:
    """
    Make the TLSA record (RFC 6698) for the certificate's key, if there is a certificate.

    `3 1 1` refers only to the key, which is kept when the certificate is renewed. The record is
    used only in a zone with DNSSEC, and does no harm in others.
    """
    try:
        key = load_pem_private_key(config.paths.certificate_key.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return []
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    name = f"_25._tcp.{config.domain}."
    return [DnsRecord(name, "TLSA", f"3 1 1 {sha256(der).hexdigest()}", "recommended")]


def addresses(config: Config) -> list[str]:
    """
    Return the public addresses: the configured ones, or else the host's own.

    Raises:
        ZoneError: there is none, or the host's cannot be listed.

    """
    configured = [config.addresses.ipv4, config.addresses.ipv6]
    own = host_addresses() if None in configured else []
    result = []
    for version, address in zip((4, 6), configured, strict=True):
        if address is not None:
            result.append(address)
            continue
        fitting = [a for a in own if ipaddress.ip_address(a).version == version]
        # A public address is preferred. Behind NAT there is none, and the operator sees which
        # one is used.
        fitting.sort(key=lambda a: not ipaddress.ip_address(a).is_global)
        result += fitting[:1]
    if not result:
        raise ZoneError("this host has no address; set `addresses.ipv4` or `addresses.ipv6`")
    return result


def host_addresses() -> list[str]:
    """
    List the host's addresses of global scope that are neither temporary nor deprecated.

    Raises:
        ZoneError: `ip` (iproute2) is missing or fails.

    """
    try:
        output = subprocess.run(
            ["ip", "-json", "address", "show", "scope", "global"],  # noqa: S607
            capture_output=True,
            check=True,
            timeout=10,
        ).stdout
        interfaces = json.loads(output)
    except (OSError, ValueError, subprocess.SubprocessError):
        raise ZoneError(
            "the host's addresses cannot be listed with `ip`; set `addresses.ipv4` and"
            " `addresses.ipv6`"
        ) from None
    return [
        entry["local"]
        for interface in interfaces
        for entry in interface.get("addr_info", [])
        if "local" in entry and not entry.get("temporary") and not entry.get("deprecated")
    ]


def lines(domain: str, records: Iterable[DnsRecord], *, split: bool) -> Iterator[str]:
    """
    Write records as lines of a zone file (RFC 1035 5.1), required ones first.

    `split` cuts TXT values into strings of 255 bytes, as name servers require. Without it they are
    one string, as most providers' web forms require.
    """
    kept = list(records)
    yield f"; {domain}: without these records the relay does not work"
    yield from (_line(record, split=split) for record in kept if record.need == "required")
    yield ""
    yield f"; {domain}: with these records it works better with other servers and clients"
    yield from (_line(record, split=split) for record in kept if record.need == "recommended")


def _line(record: DnsRecord, *, split: bool) -> str:
    data = txt_data(record.data, split=split) if record.type == "TXT" else record.data
    return f"{record.name} {TTL_SECONDS} IN {record.type} {data}"


def txt_data(text: str, *, split: bool = True) -> str:
    """Write a TXT value for a zone file (RFC 1035 5.1), in strings of 255 bytes or in one."""
    raw = text.encode()
    size = MAX_STRING_BYTES
    parts = [raw[start : start + size] for start in range(0, len(raw), size)] or [b""]
    strings = [TXT(rdataclass.IN, rdatatype.TXT, [part]).to_text() for part in parts]
    return " ".join(strings) if split else f'"{"".join(string[1:-1] for string in strings)}"'


def record_kind(text: str) -> str:
    """
    Return the kind of a TXT record: `v=spf1`, or the name of its first tag if that is not `v`.

    A name can have records of several kinds, because other services use it, too.
    """
    found = re.match(r"\s*([\w.-]+)\s*=\s*([^\s;]*)", text)
    if found is None:
        return text
    name, value = found[1].lower(), found[2].lower()
    return f"v={value}" if name == "v" else name


def serves_same_purpose(record: DnsRecord, text: str) -> bool:
    """Whether a TXT record at the same name is of the same kind, so that it must be replaced."""
    kind = record_kind(record.data)
    # A key's name has only keys, and many of them have no version (RFC 6376 3.6.1).
    return kind in {record_kind(text), "v=dkim1"}
