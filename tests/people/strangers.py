"""Other mail servers: domains with a DKIM key in the lab's DNS that deliver to port 25."""

from __future__ import annotations

import base64
import smtplib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dkim
import dns.resolver
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from people.dialogue import SECONDS, insecure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.dns import Dns
    from harness.relay import Relay

SELECTOR = "mail"
SIGNED = (b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type")


@dataclass(frozen=True)
class Stranger:
    """Another domain that signs its mail (RFC 6376)."""

    domain: str
    key: rsa.RSAPrivateKey

    @classmethod
    def at(cls, dns: Dns, domain: str) -> Stranger:
        """Create a domain with a new key, and publish it."""
        stranger = cls(domain, rsa.generate_private_key(65537, 2048))
        dns.publish(domain, [("@", "TXT", "v=spf1 ~all"), stranger.record()])
        return stranger

    def record(self) -> tuple[str, str, str]:
        """Return the DNS record of the key (RFC 6376 3.6.1)."""
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        text = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
        return (f"{SELECTOR}._domainkey", "TXT", text)

    def address(self, name: str = "someone") -> str:
        """Return an address of this domain."""
        return f"{name}@{self.domain}"

    def signed(self, message: bytes, *, domain: str | None = None) -> bytes:
        """Add a signature of this domain, or of another domain to pretend to be."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        field: bytes = dkim.sign(
            message,
            SELECTOR.encode(),
            (domain or self.domain).encode(),
            pem,
            canonicalize=(b"relaxed", b"simple"),
            include_headers=list(SIGNED),
        )
        return field + message

    def deliver(
        self, relay: Relay, message: bytes, *recipients: str, sender: str | None = None
    ) -> None:
        """Sign a message and deliver it to port 25; raises what smtplib raises."""
        deliver(
            relay, self.signed(message), self.address() if sender is None else sender, *recipients
        )


@contextmanager
def port_25(relay: Relay, *, source: str | None = None) -> Iterator[smtplib.SMTP]:
    """Connect as mail servers do: port 25, STARTTLS, no login."""
    place = (source, 0) if source else None
    with smtplib.SMTP(
        relay.address, 25, local_hostname="mx.stranger.test", timeout=SECONDS, source_address=place
    ) as session:
        session.starttls(context=insecure())
        yield session


def deliver(relay: Relay, message: bytes, sender: str, *recipients: str) -> None:
    """Deliver a message to port 25 unchanged; raises what smtplib raises."""
    with port_25(relay) as session:
        session.sendmail(sender, recipients, message)


def txt_record(name: bytes, timeout: float = 5) -> bytes:
    """Look up a key record, as dkimpy's `dnsfunc`."""
    answer = dns.resolver.resolve(name.decode(), "TXT", lifetime=timeout)
    return b"".join(answer[0].strings)
