"""Truly encrypted messages in the forms of other programs, which the relay rebuilds."""

from __future__ import annotations

import base64
import re

from people import messages, openpgp
from people.messages import (
    BOUNDARY,
    ENCRYPTED_TYPE,
    PHRASE,
    Builder,
    armor_for,
    compose,
    control_part,
    data_part,
    multipart,
    parted,
)


def _parts(sender: str, recipient: str) -> tuple[str, str]:
    return control_part(), data_part(armor_for(sender, recipient))


def _armor_with(sender: str, recipient: str, headers: str) -> bytes:
    packets = openpgp.dearmored(armor_for(sender, recipient))
    return messages.pgp_mime(sender, recipient, openpgp.armored(packets, headers=headers))


def version_header(sender: str, recipient: str) -> bytes:
    """A `Version:` line in the armor, as old versions of GnuPG write it."""
    return _armor_with(sender, recipient, "Version: GnuPG v1\n")


def sentence_header(sender: str, recipient: str) -> bytes:
    """A sentence in armor header lines."""
    return _armor_with(sender, recipient, f"Comment: {PHRASE}\nText: {PHRASE}, grüße\n")


def preamble(sender: str, recipient: str) -> bytes:
    """A sentence above the first part, as most mail programs write it (RFC 2046 5.1.1)."""
    content = parted(*_parts(sender, recipient), preamble=f"{PHRASE}\n")
    return compose(sender, recipient, content, content_type=ENCRYPTED_TYPE)


def epilogue(sender: str, recipient: str) -> bytes:
    """A sentence below the last part, where mailing lists add one."""
    content = parted(*_parts(sender, recipient), epilogue=f"{PHRASE}\n")
    return compose(sender, recipient, content, content_type=ENCRYPTED_TYPE)


def part_field(sender: str, recipient: str) -> bytes:
    """A sentence in the header of a part, beside the MIME-Version of Python's email package."""
    control, data = _parts(sender, recipient)
    content = parted(f"MIME-Version: 1.0\nSubject: {PHRASE}\n{control}", data)
    return compose(sender, recipient, content, content_type=ENCRYPTED_TYPE)


def words_as_boundary(sender: str, recipient: str) -> bytes:
    """A boundary that can be read, split as in RFC 2231."""
    words = PHRASE.replace(" ", "-")
    content = parted(*_parts(sender, recipient)).replace(BOUNDARY, words)
    parameters = f'boundary*0="{words[:9]}"; boundary*1="{words[9:]}"'
    kind = f"multipart/encrypted; ; {parameters}"
    return compose(sender, recipient, content, content_type=kind)


def mixed(sender: str, recipient: str) -> bytes:
    """Rebuild it as Exchange does: multipart/mixed, with an empty text part first."""
    content = parted("Content-Type: text/plain\n\n", *_parts(sender, recipient))
    return compose(sender, recipient, content, content_type=multipart("mixed"))


def encoded(sender: str, recipient: str) -> bytes:
    """The armor in base64, as some gateways encode all parts."""
    coded = base64.encodebytes(armor_for(sender, recipient).encode()).decode()
    data = f"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n{coded}"
    content = parted(control_part(), data)
    return compose(sender, recipient, content, content_type=ENCRYPTED_TYPE)


def on_one_line(sender: str, recipient: str) -> bytes:
    """A line above 998 octets, which transport would break."""
    packets = openpgp.dearmored(armor_for(sender, recipient, "hello " * 500))
    text = base64.b64encode(packets).decode()
    armor = f"-----BEGIN PGP MESSAGE-----\n\n{text}\n-----END PGP MESSAGE-----\n"
    return messages.pgp_mime(sender, recipient, armor)


def everything_at_once(sender: str, recipient: str) -> bytes:
    """A sentence in every possible place of a message."""
    packets = openpgp.dearmored(armor_for(sender, recipient))
    words = PHRASE.encode()
    padded = openpgp.packet(10, words) + packets + openpgp.packet(21, words)
    armor = openpgp.armored(padded, headers=f"Comment: {PHRASE}\n")
    fields = (
        f'Content-Type: {{}}; name="{PHRASE}"; charset="{PHRASE}"\n'
        f"Content-Description: {PHRASE}\n"
        f'Content-Disposition: inline; filename="{PHRASE}"\n'
        f"Content-ID: <{PHRASE}>\nSubject: {PHRASE}\nMessage-ID: <{PHRASE}>\n{PHRASE}\n\n"
    )
    content = parted(
        fields.format("application/pgp-encrypted") + f"Version: 1\n{PHRASE}\n",
        fields.format("application/octet-stream") + armor,
        preamble=f"{PHRASE}\n",
        epilogue=f"{PHRASE}\n",
    )
    boundary = PHRASE.replace(" ", "-")
    return compose(
        sender,
        recipient,
        content.replace(BOUNDARY, boundary),
        content_type=f'multipart/encrypted ({PHRASE}); x="{PHRASE}"; boundary="{boundary}"',
        fields=(f"Content-Description: {PHRASE}", f"Content-Disposition: {PHRASE}"),
    )


REBUILT: tuple[Builder, ...] = (
    version_header,
    sentence_header,
    preamble,
    epilogue,
    part_field,
    words_as_boundary,
    mixed,
    encoded,
    on_one_line,
    everything_at_once,
)
"""Accepted everywhere, and delivered in canonical form."""


def armor_in(message: bytes) -> str:
    """Take the armor out of a message that is not in a transfer encoding."""
    found = re.search(
        rb"-----BEGIN PGP MESSAGE-----.*-----END PGP MESSAGE-----", message, re.DOTALL
    )
    assert found, message[:2000]
    return found[0].decode().replace("\r\n", "\n")
