"""
The Autocrypt field (Autocrypt Level 1, 2.1): the author's public key.

Requests to join contain it, because the answer is encrypted to it. Clients before 2025 put it into
all mail. The filter cannot prove what a key contains, but it allows nothing except a key: one
primary key, its parts and at most one user ID, of limited size.
"""

import base64
import binascii
import re

from chatmaild.message.addresses import Address

MAX_KEY_BYTES = 16_384
"""
An RSA key of 4096 bits with a subkey has 3 KB.

A key with the algorithms of RFC 9580 as well as ML-KEM and ML-DSA has 13 KB.
"""
MAX_USER_ID_BYTES = 254
LINE = 74

_PUBLIC_KEY, _SIGNATURE, _USER_ID, _PUBLIC_SUBKEY = 6, 2, 13, 14
"""Packet types, RFC 9580 5.1 to 5.12."""
_VERSIONS = (3, 4, 5, 6)
_ATTRIBUTE = re.compile(rb"[ \t]*([A-Za-z_-]+)[ \t]*=[ \t]*([^;]*)")


def canonical(value: bytes, author: Address) -> bytes | None:
    """
    Write a field value in its canonical form, with its leading space; folds are CRLF + tab.

    None for anything but a key of `author`. Attributes that no client reads are left out.
    """
    attributes: dict[bytes, bytes] = {}
    for item in value.replace(b"\r\n", b"").rstrip(b" \t;").split(b";"):
        match = _ATTRIBUTE.fullmatch(item)
        if match is None or match[1] in attributes:
            return None
        attributes[match[1]] = match[2].strip(b" \t")
    if not author.same_as(attributes.get(b"addr", b"").decode("latin-1")):
        return None
    key = _decoded(attributes.get(b"keydata", b"").translate(None, b" \t"))
    if key is None or not is_public_key(key):
        return None
    mutual = attributes.get(b"prefer-encrypt") == b"mutual"
    text = base64.b64encode(key)
    return b" addr=%b;%b keydata=\r\n\t%b" % (
        str(author).encode("ascii"),
        b" prefer-encrypt=mutual;" if mutual else b"",
        b"\r\n\t".join([text[at : at + LINE] for at in range(0, len(text), LINE)]),
    )


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def is_public_key(data: bytes) -> bool:
    """Whether `data` is a transferable public key (RFC 9580 10.1) and nothing else."""
    if len(data) > MAX_KEY_BYTES:
        return False
    user_ids = 0
    at = 0
    while at < len(data):
        try:
            kind, begin, end = _packet(data, at)
            version = data[begin]
        except IndexError:
            return False
        if end > len(data) or (kind == _PUBLIC_KEY) is not (at == 0):
            return False
        if kind == _USER_ID:
            user_ids += 1
            if user_ids > 1 or end - begin > MAX_USER_ID_BYTES:
                return False
        elif kind not in (_PUBLIC_KEY, _PUBLIC_SUBKEY, _SIGNATURE) or version not in _VERSIONS:
            return False
        at = end
    return at > 0


def _packet(data: bytes, at: int) -> tuple[int, int, int]:
    """Return type, start of the body, and end of the packet at `at`; IndexError if truncated."""
    tag = data[at]
    if tag & 0xC0 == 0x80 and tag & 3 < 3:  # noqa: PLR2004 - RFC 9580 4.2.2
        size = 1 << (tag & 3)
        begin = at + 1 + size
        return (tag & 0x3C) >> 2, begin, begin + int.from_bytes(data[at + 1 : begin])
    first = data[at + 1]
    if tag & 0xC0 != 0xC0 or 224 <= first < 255:  # noqa: PLR2004 - RFC 9580 4.2.1.4
        raise IndexError
    if first < 192:  # noqa: PLR2004 - RFC 9580 4.2.1
        begin, length = at + 2, first
    elif first < 224:  # noqa: PLR2004
        begin, length = at + 3, ((first - 192) << 8) + data[at + 2] + 192
    else:
        begin, length = at + 6, int.from_bytes(data[at + 2 : at + 6])
    return tag & 0x3F, begin, begin + length
