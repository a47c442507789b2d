"""
The milter protocol, version 6, as Postfix speaks it: encodes and decodes packets.

A packet consists of a length (32 bits, network byte order), a command of one octet, and the
command's data. The length counts command and data. No RFC defines the protocol: the numbers are in
Sendmail's `include/libmilter/mfdef.h`, and Postfix implements the other side in
`src/milter/milter8.c`.
"""

import struct
from collections.abc import Iterator

VERSION = 6

# Commands of the MTA.
ABORT = ord("A")
BODY = ord("B")
CONNECT = ord("C")
MACROS = ord("D")
END = ord("E")
NEGOTIATE = ord("O")
HEADER = ord("L")
MAIL = ord("M")
QUIT = ord("Q")
QUIT_FOR_NEXT = ord("K")
RCPT = ord("R")

# Actions that a milter may request at the end of a message.
MAY_ADD_HEADERS = 0x01
MAY_CHANGE_BODY = 0x02
MAY_CHANGE_HEADERS = 0x10
MAY_CHANGE_FROM = 0x40
ACTIONS = MAY_ADD_HEADERS | MAY_CHANGE_BODY | MAY_CHANGE_HEADERS | MAY_CHANGE_FROM

# Steps that the MTA skips, and steps for which it does not wait for an answer. A round trip for
# each header field would cost the filter 0.25 ms per message, and cleanup(8) 0.3 ms.
NO_HELO = 0x02
NO_END_OF_HEADER = 0x40
NO_UNKNOWN = 0x100
NO_DATA = 0x200
NO_REPLY_TO_HEADER = 0x80
NO_REPLY_TO_CONNECT = 0x1000
NO_REPLY_TO_MAIL = 0x4000
NO_REPLY_TO_BODY = 0x80000
# Values include the space after the colon, because "simple" signatures cover it.
LEADING_SPACE = 0x100000
OPTIONS = (
    NO_HELO
    | NO_END_OF_HEADER
    | NO_UNKNOWN
    | NO_DATA
    | NO_REPLY_TO_HEADER
    | NO_REPLY_TO_CONNECT
    | NO_REPLY_TO_MAIL
    | NO_REPLY_TO_BODY
    | LEADING_SPACE
)

MAX_PACKET_BYTES = 262_144
"""Postfix sends a body in chunks of 64 KB, and a field of up to `header_size_limit`, 100 KB."""
_LENGTH_BYTES = 4
BODY_CHUNK_BYTES = 65_535
"""The most of a new body that one packet may have: MILTER_CHUNK_SIZE."""


class MilterProtocolError(Exception):
    """The MTA violates the protocol; the message does not repeat the data."""


class Reader:
    """Splits the data of a connection into packets."""

    def __init__(self) -> None:
        """Start at the beginning of a packet."""
        self._parts: list[bytes] = []
        self._missing = _LENGTH_BYTES

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """
        Yield (command, data) of each packet that this chunk completes.

        Each chunk is scanned only once, even if a packet consists of many chunks.

        Raises:
            MilterProtocolError: a packet is empty or too large.

        """
        if len(data) < self._missing:
            self._parts.append(data)
            self._missing -= len(data)
            return
        if self._parts:
            self._parts.append(data)
            data = b"".join(self._parts)
            self._parts.clear()
        at = 0
        missing = _LENGTH_BYTES
        while (missing := at + _LENGTH_BYTES - len(data)) <= 0:
            length = int.from_bytes(data[at : at + _LENGTH_BYTES])
            if not 0 < length <= MAX_PACKET_BYTES:
                raise MilterProtocolError(f"a packet of {length} octets")
            start = at + _LENGTH_BYTES
            after = start + length
            if (missing := after - len(data)) > 0:
                break
            yield data[start], data[start + 1 : after]
            at = after
        if at < len(data):
            self._parts.append(data[at:])
        self._missing = missing


def packet(command: bytes, data: bytes = b"") -> bytes:
    """Encode one packet."""
    return (1 + len(data)).to_bytes(_LENGTH_BYTES) + command + data


CONTINUE = packet(b"c")
ACCEPT = packet(b"a")


def negotiated(offer: bytes) -> bytes:
    """
    Answer the MTA's offer: (version, actions, options), 32 bits each.

    Raises:
        MilterProtocolError: the offer lacks something that the filter needs. Postfix has supported
            all of it since 2.6.

    """
    try:
        version, actions, options = struct.unpack_from("!III", offer)
    except struct.error:
        raise MilterProtocolError("the offer is too short") from None
    if version < VERSION or ACTIONS & ~actions or OPTIONS & ~options:
        raise MilterProtocolError(
            f"version {version} with 0x{actions:x} and 0x{options:x} is not enough"
        )
    return packet(b"O", struct.pack("!III", VERSION, ACTIONS, OPTIONS))


def strings(data: bytes) -> list[bytes]:
    """
    Split data that consists only of NUL-terminated strings.

    Raises:
        MilterProtocolError: the last string is not terminated.

    """
    *whole, rest = data.split(b"\0")
    if rest:
        raise MilterProtocolError("a string is not terminated")
    return whole


def macros(data: bytes) -> dict[bytes, bytes]:
    """Decode the macros for a command, names and values; raises `MilterProtocolError`."""
    words = strings(data)
    if len(words) % 2:
        raise MilterProtocolError("a macro has no value")
    return dict(zip(words[::2], words[1::2], strict=True))


def client(data: bytes) -> tuple[str, int] | None:
    """
    Decode the address of the MTA's client as (address, port), or None if it is not an IP address.

    Mail that did not arrive by SMTP has port 0. Raises `MilterProtocolError`.
    """
    _name, end, rest = data.partition(b"\0")
    if not end or not rest:
        raise MilterProtocolError("a connection has no address")
    if rest[:1] not in (b"4", b"6"):
        return None
    (address,) = strings(rest[3:])[:1] or (b"",)
    return address.decode("ascii", "replace"), int.from_bytes(rest[1:3])


def reply(code: str, text: str) -> bytes:
    """Refuse with this SMTP reply; `%` is escaped, because the MTA uses the text as a format."""
    return packet(b"y", f"{code} {text.replace('%', '%%')}".encode() + b"\0")


def change_header(index: int, name: bytes, value: bytes) -> bytes:
    """Change the `index`th field (from 1) of this name; an empty value deletes it."""
    return packet(b"m", index.to_bytes(4) + name + b"\0" + value + b"\0")


def add_header(name: bytes, value: bytes) -> bytes:
    """Add a field at the end of the header."""
    return packet(b"h", name + b"\0" + value + b"\0")


def insert_header(index: int, name: bytes, value: bytes) -> bytes:
    """Insert a field before the `index`th (from 0) field of the header."""
    return packet(b"i", index.to_bytes(4) + name + b"\0" + value + b"\0")


def replace_body(body: bytes) -> Iterator[bytes]:
    """Replace the body, in as many packets as needed; the new one has CRLF line ends."""
    for at in range(0, len(body), BODY_CHUNK_BYTES):
        yield packet(b"b", body[at : at + BODY_CHUNK_BYTES])


def change_from(sender: bytes) -> bytes:
    """Replace the envelope sender; `sender` is in angle brackets."""
    return packet(b"e", sender + b"\0")
