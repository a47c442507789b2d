"""
Decide whether ASCII armour is an encrypted OpenPGP message and nothing else.

The filter cannot decrypt, so it proves what it can: that every octet belongs to a packet, that
the packets are session keys followed by one encrypted container (RFC 9580 10.3, "Encrypted
Message"), and that the armour around them carries no text.
"""

import binascii
import re

PKESK = 1
"""Public Key Encrypted Session Key packet, RFC 9580 5.1."""
SKESK = 3
"""Symmetric Key Encrypted Session Key packet, RFC 9580 5.3."""
SEIPD = 18
"""Symmetrically Encrypted and Integrity Protected Data packet, RFC 9580 5.13."""

# First length octets of the current packet format, RFC 9580 4.2.1.
_TWO_OCTETS = 192
_PARTIAL = 224
_FIVE_OCTETS = 255
_INDETERMINATE = 3
"""Length type of the legacy packet format, RFC 9580 4.2.2."""

MAX_SESSION_KEYS = 10_000
"""One per recipient key: the largest group the relay lets through has 1000 recipients."""
MAX_CHUNKS = 100_000
"""Partial lengths of one packet: 30 MB in the smallest permitted chunks (512 octets) are 60,000."""
MAX_ARMOR_HEADERS = 4
MAX_ARMOR_HEADER_BYTES = 76

_BEGIN = b"-----BEGIN PGP MESSAGE-----"
_END = b"-----END PGP MESSAGE-----"
# What PGP software puts there about itself; any other key could carry a sentence to the reader.
_HARMLESS_HEADER = re.compile(rb"(?:Version|Comment|Charset): [ -~]*+", re.IGNORECASE)
_CHECKSUM = re.compile(rb"=[0-9A-Za-z+/]{4}")


class OpenPGPError(Exception):
    """The bytes are not an encrypted OpenPGP message; the text says why."""


def decode_armor(armored: bytes, *, headers_allowed: bool) -> bytes:
    """
    Return the packets inside one `PGP MESSAGE` armour (RFC 9580 6.2) that fills `armored`.

    `headers_allowed` tolerates `Version`, `Comment` and `Charset` lines; without it the armour
    must have none. The CRC24 line is dropped unread, as RFC 9580 6.1 asks. Line ends are CRLF or
    LF, the same throughout. Raises `OpenPGPError` for text around or within the armour.
    """
    text = armored.strip(b" \t\r\n")
    line_end = b"\r\n" if text.startswith(b"\r", len(_BEGIN)) else b"\n"
    if not text.startswith(_BEGIN + line_end):
        raise OpenPGPError("no BEGIN PGP MESSAGE line at the start")
    if not text.endswith(line_end + _END):
        raise OpenPGPError("no END PGP MESSAGE line at the end")
    begin = _after_headers(text, len(_BEGIN + line_end), line_end, headers_allowed)
    data = text[begin : -len(_END)].strip(line_end)
    last_line = data.rfind(b"\n") + 1
    if _CHECKSUM.fullmatch(data, last_line) is not None:
        data = data[:last_line]
    try:
        # Any other CR or LF stays, and is no base64.
        return binascii.a2b_base64(data.replace(line_end, b""), strict_mode=True)
    except binascii.Error:
        raise OpenPGPError("the armour holds something other than base64") from None


def _after_headers(text: bytes, begin: int, line_end: bytes, headers_allowed: bool) -> int:
    for count in range(MAX_ARMOR_HEADERS + 1):
        end = text.find(line_end, begin)
        line = text[begin:end]
        # ":" is not in the base64 alphabet, so a line is either data or a header, never both.
        if b":" not in line:
            return begin
        if not headers_allowed:
            raise OpenPGPError("the armour has a header line")
        if (
            count == MAX_ARMOR_HEADERS
            or len(line) > MAX_ARMOR_HEADER_BYTES
            or _HARMLESS_HEADER.fullmatch(line) is None
        ):
            raise OpenPGPError("the armour has a header line that may carry text")
        begin = end + len(line_end)
    raise AssertionError("unreachable")


def require_encrypted(packets: bytes) -> None:
    """
    Check that `packets` are any number of PKESK and SKESK and exactly one final SEIPD.

    Packet framing is RFC 9580 4.2, old (legacy) format included; partial lengths only where 4.2.1.4
    permits them. Raises `OpenPGPError` for any other packet and for octets outside packets.
    """
    at = 0
    for _ in range(MAX_SESSION_KEYS + 1):
        try:
            kind, at = _next_packet(packets, at)
        except IndexError:
            raise OpenPGPError("a packet header is cut off") from None
        if at > len(packets):
            raise OpenPGPError("a packet is cut off")
        if kind == SEIPD:
            if at != len(packets):
                raise OpenPGPError("something follows the encrypted data")
            return
        if kind not in (PKESK, SKESK):
            raise OpenPGPError(f"packet type {kind} in an encrypted message")
    raise OpenPGPError("too many session keys")


def _next_packet(data: bytes, at: int) -> tuple[int, int]:
    """Type of the packet at `at`, and where the next one begins; IndexError when cut off."""
    tag = data[at]
    if tag & 0x80 == 0:
        raise OpenPGPError("not a packet")
    if tag & 0x40 == 0:
        return _next_legacy_packet(data, at)
    kind = tag & 0x3F
    at += 1
    for _ in range(MAX_CHUNKS):
        first = data[at]
        if first < _TWO_OCTETS:
            return kind, at + 1 + first
        if first < _PARTIAL:
            return kind, at + 2 + ((first - _TWO_OCTETS) << 8) + data[at + 1] + _TWO_OCTETS
        if first == _FIVE_OCTETS:
            return kind, at + 5 + _number(data, at + 1, 4)
        if kind != SEIPD:
            raise OpenPGPError("partial length in a session key packet")
        at += 1 + (1 << (first & 0x1F))
    raise OpenPGPError("too many partial lengths")


def _next_legacy_packet(data: bytes, at: int) -> tuple[int, int]:
    """RFC 9580 4.2.2. Its four type bits cannot express SEIPD, so lengths are always given."""
    tag = data[at]
    length_type = tag & 0x03
    if length_type == _INDETERMINATE:
        raise OpenPGPError("indeterminate length in a session key packet")
    octets = 1 << length_type
    return (tag & 0x3C) >> 2, at + 1 + octets + _number(data, at + 1, octets)


def _number(data: bytes, at: int, octets: int) -> int:
    if at + octets > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + octets])
