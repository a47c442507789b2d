"""Messages that look encrypted but are readable by anyone."""

from __future__ import annotations

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


def sentence_header(sender: str, recipient: str) -> bytes:
    """A sentence in an armor header line with an unknown name."""
    armor = openpgp.armored(
        openpgp.dearmored(armor_for(sender, recipient)), headers=f"Text: {PHRASE}\n"
    )
    return pgp_mime(sender, recipient, armor)


def _real_parts(sender: str, recipient: str) -> tuple[str, str]:
    return control_part(), data_part(armor_for(sender, recipient))


def wrong_multipart(sender: str, recipient: str) -> bytes:
    """The right parts in a multipart/mixed."""
    content = parted(*_real_parts(sender, recipient))
    return compose(sender, recipient, content, content_type=multipart("mixed"))


def wrong_control_type(sender: str, recipient: str) -> bytes:
    """A first part of another type."""
    parts = control_part(media_type="text/plain"), data_part(armor_for(sender, recipient))
    return compose(sender, recipient, parted(*parts), content_type=ENCRYPTED_TYPE)


def wrong_data_type(sender: str, recipient: str) -> bytes:
    """A second part of another type."""
    parts = control_part(), data_part(armor_for(sender, recipient), media_type="text/plain")
    return compose(sender, recipient, parted(*parts), content_type=ENCRYPTED_TYPE)


def wrong_version(sender: str, recipient: str) -> bytes:
    """A first part that contains more than the version."""
    parts = control_part(f"Version: 1\n{PHRASE}"), data_part(armor_for(sender, recipient))
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


def preamble(sender: str, recipient: str) -> bytes:
    """A sentence above the first part, which old clients displayed (RFC 2046 5.1.1)."""
    content = parted(*_real_parts(sender, recipient), preamble=f"{PHRASE}\n")
    return compose(sender, recipient, content, content_type=ENCRYPTED_TYPE)


def epilogue(sender: str, recipient: str) -> bytes:
    """A sentence below the last part."""
    content = parted(*_real_parts(sender, recipient), epilogue=f"{PHRASE}\n")
    return compose(sender, recipient, content, content_type=ENCRYPTED_TYPE)


def two_content_types(sender: str, recipient: str) -> bytes:
    """A second Content-Type: readers disagree about which one counts."""
    return encrypted(sender, recipient, fields=("Content-Type: text/plain",))


def part_field(sender: str, recipient: str) -> bytes:
    """A sentence in the header of a part."""
    control, data = _real_parts(sender, recipient)
    content = parted(f"Subject: {PHRASE}\n{control}", data)
    return compose(sender, recipient, content, content_type=ENCRYPTED_TYPE)


FAKES: tuple[Builder, ...] = (
    base64_as_armor,
    literal_packet,
    literal_after_data,
    octets_after_data,
    signed_only,
    unprotected_packet,
    compressed_packet,
    public_key_block,
    empty_armor,
    text_after_armor,
    text_before_armor,
    two_armors,
    sentence_header,
    wrong_multipart,
    wrong_control_type,
    wrong_data_type,
    wrong_version,
    third_part,
    only_data_part,
    nested,
    preamble,
    epilogue,
    two_content_types,
    part_field,
)
"""Looks encrypted to somebody, and can be read by everybody."""
