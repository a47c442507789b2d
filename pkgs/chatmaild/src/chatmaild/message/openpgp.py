"""
Decide whether packets are an encrypted OpenPGP message and nothing else.

The filter cannot decrypt, so it checks what it can. Every octet belongs to a packet. The packets
are session keys followed by one encrypted container (RFC 9580 10.3, "Encrypted Message"). Each
packet has the layout of its version and algorithm, and none of them contains text.
"""

from typing import NamedTuple

from chatmaild.message import readable, session_keys

PKESK = 1
"""Public Key Encrypted Session Key packet, RFC 9580 5.1."""
SKESK = 3
"""Symmetric Key Encrypted Session Key packet, RFC 9580 5.3."""
MARKER = 10
"""Marker packet, RFC 9580 5.8: ignored. PGP 5 wrote it before everything else."""
SEIPD = 18
"""Symmetrically Encrypted and Integrity Protected Data packet, RFC 9580 5.13."""
OCB_DATA = 20
"""
OCB Encrypted Data packet, of GnuPG 2.3 and later for its new keys, of RNP and of OpenPGP.js 5.

RFC 9580 5 reserves the number, and draft-koch-librepgp describes the packet. It protects as well
as SEIPD version 2.
"""
PADDING = 21
"""Padding packet, RFC 9580 5.14: ignored."""

# First length octets of the current packet format (RFC 9580 4.2.1).
_TWO_OCTETS = 192
_PARTIAL = 224
_FIVE_OCTETS = 255
_INDETERMINATE = 3
"""Length type of the legacy packet format, RFC 9580 4.2.2."""

MIN_FIRST_CHUNK = 512
"""RFC 9580 4.2.1.4. Later chunks may have one octet; those of Go's OpenPGP do."""
MAX_PACKETS = 10_000
"""There is one per recipient key: the largest group that the relay allows has 1000 recipients."""
MAX_CHUNKS = 100_000
"""Partial lengths of a packet: 30 MB in the smallest permitted chunks (512 octets) have 60,000."""

# The shortest content is an empty literal packet: a header of two octets and fields of six.
_MIN_CONTENT = 8
_MDC = 22
_TAG = 16
# A chunk has 2^(this + 6) octets: RFC 9580 5.13.2, draft-koch-librepgp 5.16.
_MAX_AEAD_CHUNK = 16
_MAX_OCB_CHUNK = 56

# In octets, RFC 9580 9.3: the prefix of SEIPD version 1 has the length of a block.
_SMALLEST_BLOCK = 8
_BLOCK_128 = frozenset({7, 8, 9, 10, 11, 12, 13})
"""AES, Twofish and Camellia: AEAD modes need blocks of 128 bits."""
# RFC 9580 9.6. OpenPGP.js 4 and 5 used 100 for GCM before it had a number.
_NONCE = {1: 16, 2: 15, 3: 12, 100: 12}
_SALT = 32
_FIELDS = 4
"""Version, cipher, mode and chunk size: one octet each."""

_SESSION_KEYS = {PKESK: session_keys.is_for_key, SKESK: session_keys.is_for_passphrase}


class OpenPGPError(Exception):
    """The bytes are not an encrypted OpenPGP message; the message says why."""


class _Packet(NamedTuple):
    """The place of a packet: `start` of the packet, `begin` of its body, and `end` of both."""

    kind: int
    start: int
    begin: int
    end: int
    chunks: list[tuple[int, int]]
    """(begin, end) of all pieces but the last, for partial lengths; `begin` is that of the last."""

    def body(self, data: bytes) -> bytes | memoryview:
        """Return the body; pieces are joined."""
        view = memoryview(data)
        last = view[self.begin : self.end]
        if not self.chunks:
            return last
        return b"".join([*[view[begin:end] for begin, end in self.chunks], last])


def encrypted_message(packets: bytes) -> bytes:
    """
    Return the packets of an encrypted message: session keys and exactly one final container.

    Marker and padding packets are removed, because every reader ignores them. Without any,
    `packets` itself is returned. Packet framing is RFC 9580 4.2, including the legacy format;
    partial lengths are allowed only where 4.2.1.4 permits them.

    Raises:
        OpenPGPError: a packet of another type, a packet with the wrong layout for its version and
            algorithm, text in a packet, or octets outside of all packets.

    """
    usual = session_keys.end_of_usual(packets)
    found = _packets(packets, usual)
    kept = [packet for packet in found if packet.kind not in (MARKER, PADDING)]
    if not kept or kept[-1].kind not in (SEIPD, OCB_DATA):
        raise OpenPGPError("no encrypted data at the end")
    *keys, container = kept
    if not keys and not usual:
        raise OpenPGPError("encrypted data without a session key")
    for packet in keys:
        is_built_right = _SESSION_KEYS.get(packet.kind)
        if is_built_right is None:
            raise OpenPGPError(f"packet type {packet.kind} in an encrypted message")
        if not is_built_right(packets, packet.begin, packet.end):
            raise OpenPGPError("a session key of an unknown kind or of the wrong length")
    if len(kept) != len(found):
        pieces = [packets[packet.start : packet.end] for packet in kept]
        return encrypted_message(b"".join([packets[:usual], *pieces]))
    # Each packet has one readable octet of structure: the length of a point or of a wrapped key.
    if readable.has_text(packets[: container.start], structure=2):
        raise OpenPGPError("text in the session keys")
    _require_ciphertext(container.kind, container.body(packets))
    return packets


def wants_checksum(packets: bytes) -> bool:
    """
    Return whether the armor of an encrypted message needs a checksum.

    GnuPG up to 2.4 finds no data in armor without both checksum and padding, which would concern
    every third message. RFC 9580 6.1 forbids the checksum for SEIPD version 2, which GnuPG cannot
    read anyway.
    """
    container = _packets(packets, session_keys.end_of_usual(packets))[-1]
    return container.kind != SEIPD or container.body(packets)[:1] != b"\x02"


def _packets(data: bytes, at: int) -> list[_Packet]:
    """List all packets from `at`; every octet belongs to one of them."""
    found: list[_Packet] = []
    while at < len(data):
        if len(found) == MAX_PACKETS:
            raise OpenPGPError("too many packets")
        try:
            packet = _packet(data, at)
        except IndexError:
            raise OpenPGPError("a packet header is cut off") from None
        at = packet.end
        if at > len(data):
            raise OpenPGPError("a packet is cut off")
        found.append(packet)
    return found


def _packet(data: bytes, start: int) -> _Packet:
    """Parse the header of the packet at `start`; IndexError if it is truncated."""
    tag = data[start]
    if tag & 0x80 == 0:
        raise OpenPGPError("not a packet")
    if tag & 0x40 == 0:
        return _legacy_packet(data, start)
    kind = tag & 0x3F
    at = start + 1
    chunks: list[tuple[int, int]] = []
    while True:
        first = data[at]
        if first < _TWO_OCTETS:
            begin, size = at + 1, first
        elif first < _PARTIAL:
            begin, size = at + 2, ((first - _TWO_OCTETS) << 8) + data[at + 1] + _TWO_OCTETS
        elif first == _FIVE_OCTETS:
            begin, size = at + 5, _number(data, at + 1, 4)
        else:
            if kind not in (SEIPD, OCB_DATA):
                raise OpenPGPError("partial length in a packet that is not encrypted data")
            begin, size = at + 1, 1 << (first & 0x1F)
            if not chunks and size < MIN_FIRST_CHUNK:
                raise OpenPGPError("a first partial length below 512 octets")
            if len(chunks) == MAX_CHUNKS:
                raise OpenPGPError("too many partial lengths")
            at = begin + size
            chunks.append((begin, at))
            continue
        return _Packet(kind, start, begin, begin + size, chunks)


def _legacy_packet(data: bytes, start: int) -> _Packet:
    """RFC 9580 4.2.2. Four type bits cannot express SEIPD, so a length is always required."""
    tag = data[start]
    length_type = tag & 0x03
    if length_type == _INDETERMINATE:
        raise OpenPGPError("indeterminate length in a packet that is not encrypted data")
    octets = 1 << length_type
    begin = start + 1 + octets
    return _Packet((tag & 0x3C) >> 2, start, begin, begin + _number(data, start + 1, octets), [])


def _number(data: bytes, at: int, octets: int) -> int:
    if at + octets > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + octets])


def _require_ciphertext(kind: int, body: bytes | memoryview) -> None:
    """Check a container: the fields of its version, the minimum length, and random content."""
    begin = _ciphertext_of_seipd(body) if kind == SEIPD else _ciphertext_of_ocb(body)
    if begin is None:
        raise OpenPGPError("encrypted data of an unknown kind or too short to hold anything")
    if readable.is_text(body[begin:]):
        raise OpenPGPError("the encrypted data is text")


def _ciphertext_of_seipd(body: bytes | memoryview) -> int | None:
    """Find where the random octets begin (RFC 9580 5.13.1, 5.13.2); None if it is malformed."""
    version = body[:1]
    if version == b"\x01":
        return 1 if len(body) >= 1 + _SMALLEST_BLOCK + 2 + _MIN_CONTENT + _MDC else None
    # Cipher, mode and chunk size precede the salt. Each chunk has a tag, and the whole has another.
    if version != b"\x02" or len(body) < _FIELDS + _SALT + _MIN_CONTENT + 2 * _TAG:
        return None
    cipher, mode, chunk = body[1:_FIELDS]
    return (
        _FIELDS if cipher in _BLOCK_128 and mode in (1, 2, 3) and chunk <= _MAX_AEAD_CHUNK else None
    )


def _ciphertext_of_ocb(body: bytes | memoryview) -> int | None:
    """Find where the random octets begin (draft-koch-librepgp 5.16); None if it is malformed."""
    if body[:1] != b"\x01" or len(body) < _FIELDS:
        return None
    cipher, mode, chunk = body[1:_FIELDS]
    if cipher not in _BLOCK_128 or mode not in _NONCE or chunk > _MAX_OCB_CHUNK:
        return None
    return _FIELDS if len(body) >= _FIELDS + _NONCE[mode] + _MIN_CONTENT + 2 * _TAG else None
