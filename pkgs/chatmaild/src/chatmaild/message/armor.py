"""
Read ASCII armor (RFC 9580 6.2) of any program, and write the canonical form.

The canonical form has lines of 64 characters, CRLF, no armor headers, and either no checksum or
the right one, so a sender chooses nothing in it but the packets. Delta Chat writes this form.
"""

import binascii
import re

_BEGIN = b"-----BEGIN PGP MESSAGE-----"
_END = b"-----END PGP MESSAGE-----"
HEAD = _BEGIN + b"\r\n\r\n"
"""The octets before the first line of base64 in the canonical form."""
TAIL = b"\r\n" + _END + b"\r\n"
"""The octets after the last line, or after the checksum."""

_LINE = 64
_STEP = _LINE + 2
_OCTETS = 48
"""Number of octets in a line of 64 characters."""
_CHECKSUM = re.compile(rb"=[0-9A-Za-z+/]{4}")
_BLANKS = b" \t\r\n"
MAX_HEADERS_BYTES = 8192
"""Headers are dropped, so the limit only bounds the work; the longest known have a few lines."""

# CRC24 (RFC 9580 6.1.1).
_CRC_START = 0xB704CE
_CRC_POLYNOMIAL = 0x1864CFB
# Multiples of the polynomial, found by search: x^1257 + x^24 + x^16 + 1, the one of four terms that
# shortens a number most, and x^93 + x^46 + x^25 + x^20 + x + 1 for what is left. Over GF(2) they
# stay multiples with doubled exponents, so a few shifts fold a number of any length onto itself.
_FOLDS = ((1257, (24, 16, 0)), (93, (46, 25, 20, 1, 0)))
_FOLDED_OCTETS = 12


class ArmorError(Exception):
    """The bytes are not exactly one ASCII armor; the message says why."""


def decode(armored: bytes) -> bytes:
    """
    Return the packets of a `PGP MESSAGE` armor; `armored` must contain nothing else.

    Armor headers, the checksum and white space are dropped unread, because the caller does not
    forward this text. Raises `ArmorError` for anything else around or inside the armor.
    """
    text = armored.strip(_BLANKS)
    if not text.startswith(_BEGIN):
        raise ArmorError("no BEGIN PGP MESSAGE line at the start")
    if not text.endswith(_END):
        raise ArmorError("no END PGP MESSAGE line at the end")
    data = text[_after_headers(text) : -len(_END)].translate(None, _BLANKS)
    if _CHECKSUM.match(data, len(data) - 5):
        data = data[:-5]
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except binascii.Error:
        raise ArmorError("the armor holds something other than base64") from None


def _after_headers(text: bytes) -> int:
    """
    Find where the base64 begins.

    Base64 has no ":", so the last line with one is the last header. The empty line after it may be
    missing.
    """
    begin = text.find(b"\n") + 1
    colon = text.rfind(b":", begin, begin + MAX_HEADERS_BYTES)
    return begin if colon < 0 else text.find(b"\n", colon) + 1


def encode(packets: bytes, *, checksum: bool = False) -> bytes:
    """Write armor in canonical form, from HEAD to TAIL."""
    # In blocks of 1000 lines: for 30 MB a list of half a million lines takes twice that memory.
    block = 1000 * _OCTETS
    lines = b"\r\n".join(
        _wrapped(binascii.b2a_base64(packets[at : at + block], newline=False))
        for at in range(0, len(packets), block)
    )
    if checksum:
        lines += b"\r\n=" + binascii.b2a_base64(crc24(packets).to_bytes(3), newline=False)
    return HEAD + lines + TAIL


def _wrapped(text: bytes) -> bytes:
    return b"\r\n".join([text[at : at + _LINE] for at in range(0, len(text), _LINE)])


def decode_canonical(data: bytes) -> bytes | None:
    """
    Return the packets of `data`, the octets between HEAD and TAIL of armor in canonical form.

    None when `data` has another form, so that it may carry more than the packets.
    """
    checksum = b""
    if _CHECKSUM.match(data, len(data) - 5) and data[-7:-5] == b"\r\n":
        checksum, data = data[-4:], data[:-7]
    breaks = (len(data) - 1) // _STEP
    if data[_LINE::_STEP] != b"\r" * breaks or data[_LINE + 1 :: _STEP] != b"\n" * breaks:
        return None
    try:
        packets = binascii.a2b_base64(data)
    except binascii.Error:
        return None
    # It skips characters that are not base64; then there are too few octets for the characters.
    characters = len(data) - 2 * breaks
    padding = len(data) - len(data.rstrip(b"="))
    if (
        characters % 4
        or 4 * (len(packets) + padding) != 3 * characters
        # The unused bits of the last character must be zero, or they carry a few chosen bits.
        or binascii.b2a_base64(packets[-(len(packets) % 3 or 3) :], newline=False) != data[-4:]
        or (checksum and binascii.a2b_base64(checksum) != crc24(packets).to_bytes(3))
    ):
        return None
    return packets


def crc24(data: bytes) -> int:
    """
    Compute the checksum of RFC 9580 6.1.1.

    It uses big integers instead of single octets: 13 us instead of 139 for a small message.
    """
    value = int.from_bytes(data + b"\0\0\0") ^ (_CRC_START << 8 * len(data))
    for top, lower in _FOLDS:
        scale = (value.bit_length() // top).bit_length()
        while scale:
            scale -= 1
            width = top << scale
            while high := value >> width:
                value ^= high << width
                for exponent in lower:
                    value ^= high << (exponent << scale)
    crc = 0
    for octet in value.to_bytes(_FOLDED_OCTETS):
        crc = (crc << 8 & 0xFFFFFF | octet) ^ _CRC_OF_OCTET[crc >> 16]
    return crc


def _crc_of_octet(octet: int) -> int:
    crc = octet << 16
    for _ in range(8):
        crc <<= 1
        if crc & 0x1000000:
            crc ^= _CRC_POLYNOMIAL
    return crc


_CRC_OF_OCTET = tuple(_crc_of_octet(octet) for octet in range(256))
