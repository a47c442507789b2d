"""
All kinds of messages that a relay handles, as bytes with CRLF.

All builders take sender and recipient, so that a kind can be a parameter of a test.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from email.utils import formatdate

from people import openpgp

Builder = Callable[[str, str], bytes]

BOUNDARY = "18f2e3cb8fd1a4b1_f5cf8b28e18eac27_63dd83e221b58a4b"
"""As chatmail core makes them: any other could hold words, and the relay replaces it."""
MAX_SIZE = 31457280
"""The default of `message.maxSize`, in octets."""
PHRASE = "the quick brown fox tells a secret"
"""The text of cleartext messages, to search for it where it must not be."""


def new_id(sender: str) -> str:
    """Return a unique Message-ID, with its brackets."""
    return f"<{uuid.uuid4()}@{sender.rpartition('@')[2]}>"


def now() -> str:
    """Write the time as core does in Date."""
    return formatdate(usegmt=True).replace("GMT", "+0000").replace(", 0", ", ")


def id_of(message: bytes) -> str:
    """Return the Message-ID of a message, with its brackets."""
    found = re.search(rb"^Message-ID: *(<[^>]+>)", message, re.MULTILINE | re.IGNORECASE)
    assert found, message[:500]
    return found[1].decode()


def header(message: bytes, name: str) -> list[str]:
    """Return all fields of this name, unfolded and in order."""
    head = message.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    unfolded = re.sub(r"\r\n(?=[ \t])", "", head).split("\r\n")
    fields = [line.partition(":") for line in unfolded]
    return [value.strip() for key, _, value in fields if key.lower() == name.lower()]


def body(message: bytes) -> bytes:
    """Return the body of a message."""
    return message.partition(b"\r\n\r\n")[2]


def crlf(text: str) -> bytes:
    """Encode text with CRLF line ends."""
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode()


def compose(
    sender: str,
    recipient: str,
    content: str | bytes,
    *,
    content_type: str = "text/plain; charset=utf-8",
    subject: str = "[...]",
    fields: tuple[str, ...] = (),
) -> bytes:
    """Put the usual header in core's order, and `fields` (whole lines), above a body."""
    lines = [
        f"From: <{sender}>",
        f"Date: {now()}",
        f"Message-ID: {new_id(sender)}",
        "MIME-Version: 1.0",
        f"To: <{recipient}>",
        f"Subject: {subject}",
        "Chat-Version: 1.0",
        *fields,
        f"Content-Type: {content_type}",
    ]
    raw = crlf(content) if isinstance(content, str) else content
    return crlf("\n".join([*lines, "", ""])) + raw


def parted(*parts: str, preamble: str = "\n", epilogue: str = "") -> str:
    """Join parts, each with its own header, by the boundary."""
    opened = "".join(f"--{BOUNDARY}\n{part}\n" for part in parts)
    return f"{preamble}{opened}--{BOUNDARY}--\n{epilogue}"


def multipart(subtype: str, parameters: str = "") -> str:
    """Return a multipart type with the boundary that `parted` uses."""
    return f'multipart/{subtype}; {parameters}boundary="{BOUNDARY}"'


ENCRYPTED_TYPE = multipart("encrypted", 'protocol="application/pgp-encrypted"; ')


def control_part(version: str = "Version: 1", media_type: str = "application/pgp-encrypted") -> str:
    """Build the first part of PGP/MIME (RFC 3156 4) as chatmail core writes it."""
    return (
        f'Content-Type: {media_type}; charset="utf-8"\n'
        "Content-Description: PGP/MIME version identification\n"
        f"Content-Transfer-Encoding: 7bit\n\n{version}\n"
    )


def data_part(armor: str, media_type: str = "application/octet-stream") -> str:
    """Build the second part of PGP/MIME as chatmail core writes it."""
    return (
        f'Content-Type: {media_type}; name="encrypted.asc"; \n\tcharset="utf-8"\n'
        "Content-Description: OpenPGP encrypted message\n"
        'Content-Disposition: inline; filename="encrypted.asc";\n'
        f"Content-Transfer-Encoding: 7bit\n\n{armor}\n"
    )


def pgp_mime(
    sender: str, recipient: str, armor: str, *, subject: str = "[...]", fields: tuple[str, ...] = ()
) -> bytes:
    """Wrap an armor as chatmail core does."""
    content = parted(control_part(), data_part(armor))
    return compose(
        sender, recipient, content, content_type=ENCRYPTED_TYPE, subject=subject, fields=fields
    )


def armor_for(sender: str, recipient: str, text: str = "hello") -> str:
    """Encrypt to sender and recipient, as clients do for the sender's other devices."""
    inner = f'Content-Type: text/plain; charset="utf-8"; protected-headers="v1"\n\n{text}\n'
    return openpgp.encrypt(inner, recipient, sender)


def encrypted(
    sender: str, recipient: str, text: str = "hello", fields: tuple[str, ...] = ()
) -> bytes:
    """Return a really encrypted message, for two keys."""
    return pgp_mime(sender, recipient, armor_for(sender, recipient, text), fields=fields)


def symmetric(sender: str, recipient: str) -> bytes:
    """Encrypt with a shared secret, as Secure-Join begins since core 2.45."""
    secret = openpgp.encrypt_with_secret("secure-join: vc-request-pubkey", "from the QR code")
    return pgp_mime(sender, recipient, secret)


def packets_for(sender: str, recipient: str, text: str = "hello") -> list[tuple[int, bytes]]:
    """Split an encrypted message into packets: tag and content of each."""
    return openpgp.packets(openpgp.dearmored(armor_for(sender, recipient, text)))


def old_format(sender: str, recipient: str) -> bytes:
    """Session keys in the old packet format, whose data packet has no version."""
    *keys, data = packets_for(sender, recipient)
    old = b"".join(openpgp.old_packet(*key) for key in keys)
    return pgp_mime(sender, recipient, openpgp.armored(old + openpgp.packet(*data)))


def partial_lengths(sender: str, recipient: str) -> bytes:
    """A data packet in chunks, as rPGP writes it."""
    *keys, data = packets_for(sender, recipient, "hello " * 500)
    head = b"".join(openpgp.packet(*key) for key in keys)
    return pgp_mime(sender, recipient, openpgp.armored(head + openpgp.partial_packet(*data)))


def encrypted_of_size(sender: str, recipient: str, size: int) -> bytes:
    """Return an encrypted message of exactly `size` octets, including CRLFs."""
    frame = len(pgp_mime(sender, recipient, openpgp.armored(openpgp.sealed(0, recipient))))
    # 48 octets become a line of 64 characters with CRLF; a header line fills the rest.
    ciphertext = max(0, (size - frame - 600) * 48 // 66)
    armor = openpgp.armored(openpgp.sealed(ciphertext, recipient))
    missing = size - len(pgp_mime(sender, recipient, armor, fields=("X-Filler: ",)))
    message = pgp_mime(sender, recipient, armor, fields=("X-Filler: " + "x" * missing,))
    assert len(message) == size
    return message


def cleartext(sender: str, recipient: str) -> bytes:
    """Build an ordinary mail."""
    return compose(sender, recipient, f"{PHRASE}\n", subject="A newsletter")


ENCRYPTED: tuple[Builder, ...] = (encrypted, symmetric, old_format, partial_lengths)
"""Accepted everywhere and left unchanged."""
