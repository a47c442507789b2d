"""Messages that look encrypted but are readable by anyone."""

from __future__ import annotations

import os

from people import openpgp
from people.messages import (
    BOUNDARY,
    ENCRYPTED_TYPE,
    PHRASE,
    Builder,
    armor_for,
    compose,
    control_part,
    data_part,
    encrypted,
    multipart,
    packets_for,
    parted,
    pgp_mime,
)


def base64_as_armor(sender: str, recipient: str) -> bytes:
    """Ordinary text in base64 between the lines of an armor."""
    return pgp_mime(sender, recipient, openpgp.armored(PHRASE.encode() * 20))


def literal_packet(sender: str, recipient: str) -> bytes:
    """Well-formed OpenPGP that anyone can read."""
    return pgp_mime(sender, recipient, openpgp.armored(openpgp.literal(PHRASE)))


def literal_after_data(sender: str, recipient: str) -> bytes:
    """Readable text after encrypted data."""
    real = openpgp.dearmored(armor_for(sender, recipient))
    return pgp_mime(sender, recipient, openpgp.armored(real + openpgp.literal(PHRASE)))


def octets_after_data(sender: str, recipient: str) -> bytes:
    """Text outside any packet, after encrypted data."""
    real = openpgp.dearmored(armor_for(sender, recipient))
    return pgp_mime(sender, recipient, openpgp.armored(real + PHRASE.encode()))


def signed_only(sender: str, recipient: str) -> bytes:
    """Signed, not encrypted."""
    return pgp_mime(sender, recipient, openpgp.signed(PHRASE, sender))


def unprotected_packet(sender: str, recipient: str) -> bytes:
    """Encrypted data of the kind without integrity protection (RFC 9580 5.7)."""
    *keys, (_, data) = packets_for(sender, recipient)
    head = b"".join(openpgp.packet(*key) for key in keys)
    armor = openpgp.armored(head + openpgp.packet(openpgp.ENCRYPTED_UNPROTECTED, data))
    return pgp_mime(sender, recipient, armor)


def compressed_packet(sender: str, recipient: str) -> bytes:
    """A compressed packet can contain anything."""
    content = b"\x00" + openpgp.literal(PHRASE)
    armor = openpgp.armored(openpgp.packet(openpgp.COMPRESSED, content))
    return pgp_mime(sender, recipient, armor)


def _packet_of(data: bytes, *, keys: bool = True) -> Builder:
    """Replace the encrypted data by other octets."""

    def build(sender: str, recipient: str) -> bytes:
        *real, _ = packets_for(sender, recipient)
        head = b"".join(openpgp.packet(*key) for key in real) if keys else b""
        armor = openpgp.armored(head + openpgp.packet(openpgp.ENCRYPTED, data))
        return pgp_mime(sender, recipient, armor)

    return build


def readable_data(sender: str, recipient: str) -> bytes:
    """Encrypted data that is plain ASCII."""
    return _packet_of(b"\x01" + PHRASE.encode() * 20)(sender, recipient)


def data_without_version(sender: str, recipient: str) -> bytes:
    """Encrypted data that is only a sentence."""
    return _packet_of(PHRASE.encode() * 20)(sender, recipient)


def empty_data(sender: str, recipient: str) -> bytes:
    """Encrypted data without any octets."""
    return _packet_of(b"")(sender, recipient)


def no_session_key(sender: str, recipient: str) -> bytes:
    """Encrypted data for which there is no key."""
    return _packet_of(b"\x01" + os.urandom(700), keys=False)(sender, recipient)


def readable_session_key(sender: str, recipient: str) -> bytes:
    """A session key that is a sentence, before truly encrypted data."""
    *_, data = packets_for(sender, recipient)
    sentence = openpgp.packet(1, b"\x03" + PHRASE.encode())
    return pgp_mime(sender, recipient, openpgp.armored(sentence + openpgp.packet(*data)))


def short_first_chunk(sender: str, recipient: str) -> bytes:
    """Encrypted data whose first partial length is one octet (RFC 9580 4.2.1.4)."""
    *keys, (_, data) = packets_for(sender, recipient, "hello " * 500)
    head = b"".join(openpgp.packet(*key) for key in keys)
    rest = openpgp.packet(openpgp.ENCRYPTED, data[1:])[1:]
    chunked = bytes([0xC0 | openpgp.ENCRYPTED, 0xE0]) + data[:1] + rest
    return pgp_mime(sender, recipient, openpgp.armored(head + chunked))


def public_key_block(sender: str, recipient: str) -> bytes:
    """OpenPGP, but not a message."""
    return pgp_mime(sender, recipient, openpgp.public_key(sender))


def empty_armor(sender: str, recipient: str) -> bytes:
    """Nothing between the lines of an armor."""
    return pgp_mime(sender, recipient, openpgp.armored(b""))


def text_after_armor(sender: str, recipient: str) -> bytes:
    """A sentence below the END line."""
    return pgp_mime(sender, recipient, f"{armor_for(sender, recipient)}\n{PHRASE}\n")


def text_before_armor(sender: str, recipient: str) -> bytes:
    """A sentence above the BEGIN line."""
    return pgp_mime(sender, recipient, f"{PHRASE}\n{armor_for(sender, recipient)}")


def two_armors(sender: str, recipient: str) -> bytes:
    """A second armor with readable text, below a real one."""
    readable = openpgp.armored(openpgp.literal(PHRASE))
    return pgp_mime(sender, recipient, f"{armor_for(sender, recipient)}\n{readable}")


def _real_parts(sender: str, recipient: str) -> tuple[str, str]:
    return control_part(), data_part(armor_for(sender, recipient))


def wrong_control_type(sender: str, recipient: str) -> bytes:
    """A first part of another type."""
    parts = control_part(media_type="text/plain"), data_part(armor_for(sender, recipient))
    return compose(sender, recipient, parted(*parts), content_type=ENCRYPTED_TYPE)


def wrong_data_type(sender: str, recipient: str) -> bytes:
    """A second part of another type."""
    parts = control_part(), data_part(armor_for(sender, recipient), media_type="text/plain")
    return compose(sender, recipient, parted(*parts), content_type=ENCRYPTED_TYPE)


def wrong_version(sender: str, recipient: str) -> bytes:
    """A first part with another version."""
    parts = control_part(PHRASE), data_part(armor_for(sender, recipient))
    return compose(sender, recipient, parted(*parts), content_type=ENCRYPTED_TYPE)


def third_part(sender: str, recipient: str) -> bytes:
    """A readable part beside the two."""
    extra = f"Content-Type: text/plain\n\n{PHRASE}\n"
    content = parted(*_real_parts(sender, recipient), extra)
    return compose(sender, recipient, content, content_type=ENCRYPTED_TYPE)


def only_data_part(sender: str, recipient: str) -> bytes:
    """The encrypted part alone."""
    content = parted(_real_parts(sender, recipient)[1])
    return compose(sender, recipient, content, content_type=ENCRYPTED_TYPE)


def nested(sender: str, recipient: str) -> bytes:
    """A whole PGP/MIME message one level down, beside a readable part."""
    inner = parted(*_real_parts(sender, recipient)).replace(BOUNDARY, "inner")
    whole = f"Content-Type: {ENCRYPTED_TYPE.replace(BOUNDARY, 'inner')}\n\n{inner}"
    content = parted(whole, f"Content-Type: text/plain\n\n{PHRASE}\n")
    return compose(sender, recipient, content, content_type=multipart("mixed"))


def two_content_types(sender: str, recipient: str) -> bytes:
    """A second Content-Type: readers disagree about which one counts."""
    return encrypted(sender, recipient, fields=("Content-Type: text/plain",))


FAKES: tuple[Builder, ...] = (
    base64_as_armor,
    literal_packet,
    literal_after_data,
    octets_after_data,
    signed_only,
    unprotected_packet,
    compressed_packet,
    readable_data,
    data_without_version,
    empty_data,
    no_session_key,
    readable_session_key,
    short_first_chunk,
    public_key_block,
    empty_armor,
    text_after_armor,
    text_before_armor,
    two_armors,
    wrong_control_type,
    wrong_data_type,
    wrong_version,
    third_part,
    only_data_part,
    nested,
    two_content_types,
)
"""Looks encrypted to somebody, and can be read by everybody."""
