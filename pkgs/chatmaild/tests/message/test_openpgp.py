"""Only packets that form one complete encrypted message are accepted."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.message import openpgp
from chatmaild.message.openpgp import OpenPGPError, encrypted_message
from mails import PACKETS, PKESK, SEIPD, SKESK, noise, packet

TEXT = b"The quick brown fox tells a secret. "
CIPHERTEXT = noise(700)
MARKER = packet(10, b"PGP")
PADDING = packet(21, TEXT)


def legacy(kind: int, body: bytes, length_type: int = 0) -> bytes:
    """Build a packet in the legacy format (RFC 9580 4.2.2)."""
    octets = 1 << length_type
    return bytes([0x80 | kind << 2 | length_type]) + len(body).to_bytes(octets) + body


def seipd_v2(cipher: int = 9, mode: int = 2, chunk: int = 6, data: bytes = CIPHERTEXT) -> bytes:
    """Build SEIPD version 2 (RFC 9580 5.13.2); `data` includes the salt and the tags."""
    return packet(18, bytes([2, cipher, mode, chunk]) + data)


def ocb(cipher: int = 9, mode: int = 2, chunk: int = 16, data: bytes = CIPHERTEXT) -> bytes:
    """Build packet type 20 (draft-koch-librepgp 5.16); `data` includes the nonce and the tags."""
    return packet(20, bytes([1, cipher, mode, chunk]) + data)


@pytest.mark.parametrize(
    "packets",
    [
        PKESK + SEIPD,
        SKESK + SEIPD,
        PKESK * 3 + SKESK + PKESK + SEIPD,
        PKESK + packet(18, b"\x01" + noise(1500), partial=(9, 9, 8)),
        PKESK + packet(18, b"\x01" + noise(1600), partial=(9, 9, 3, 0, 0, 0)),
        PKESK + packet(18, b"\x01" + noise(1023), partial=(9, 9)),
        legacy(1, PKESK[2:]) + SEIPD,
        legacy(1, PKESK[2:], 1) + legacy(1, PKESK[2:], 2) + SEIPD,
        packet(1, PKESK[2:]) + SEIPD,
        PKESK + packet(18, b"\x01" + noise(40)),
        PKESK + seipd_v2(),
        PKESK + seipd_v2(7, 1, 0, noise(72)),
        PKESK + seipd_v2(13, 3, 16),
        PKESK + ocb(),
        PKESK + ocb(7, 1, 0, noise(56)),
        PKESK + ocb(mode=100, chunk=12),
        PKESK + packet(20, b"\x01\x09\x02\x10" + noise(1500), partial=(9, 9)),
    ],
)
def test_accepts_session_keys_and_one_container(packets: bytes) -> None:
    """RFC 9580 10.3 and type 20, in every length format; they are forwarded unchanged."""
    assert encrypted_message(packets) is packets


@pytest.mark.parametrize(
    "packets",
    [
        MARKER + PACKETS,
        PACKETS + MARKER,
        PKESK + MARKER + PADDING + PKESK + SEIPD + PADDING,
        packet(10, TEXT) + PACKETS,
        PADDING * 20 + PACKETS,
    ],
)
def test_removes_packets_that_every_reader_ignores(packets: bytes) -> None:
    """PGP 5 wrote a marker first, and RFC 9580 5.14 defines padding; both could carry text."""
    assert encrypted_message(packets) == PACKETS


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        (b"", "no encrypted data"),
        (PKESK, "no encrypted data"),
        (MARKER, "no encrypted data"),
        (PKESK + SEIPD[:-1], "cut off"),
        (PACKETS + b"x", "not a packet"),
        (PACKETS + PKESK, "no encrypted data"),
        (PACKETS + SEIPD, "packet type 18"),
        (PACKETS + packet(11, b"b\0\0\0\0\0hello"), "no encrypted data"),
        (packet(11, b"b\0\0\0\0\0hello") + SEIPD, "packet type 11"),
        (packet(8, b"compressed"), "no encrypted data"),
        (PKESK + packet(9, noise(700)), "no encrypted data"),
        (PKESK + packet(40, TEXT) + SEIPD, "packet type 40"),
        (b"hello", "not a packet"),
        (packet(1, b"k" * 600, partial=(9,)) + SEIPD, "partial length"),
        (b"\x87rest" + SEIPD, "indeterminate"),
        (b"\xd2\xff\x00\x00", "cut off"),
        (b"\xd2\xfe" + b"z" * 10, "cut off"),
        (b"\xd2", "cut off"),
        (b"\x85\x00", "cut off"),
    ],
)
def test_refuses_every_other_sequence_of_packets(packets: bytes, reason: str) -> None:
    """Literal, compressed or unprotected data is readable; octets after the end are text."""
    with pytest.raises(OpenPGPError, match=reason):
        encrypted_message(packets)


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        (PKESK + packet(18, b"\x01" + TEXT * 20), "is text"),
        (PKESK + packet(18, CIPHERTEXT.replace(b"\x01", b"")), "unknown kind"),
        (PKESK + packet(18, b""), "unknown kind"),
        (SEIPD, "without a session key"),
        (packet(1, TEXT) + SEIPD, "session key of an unknown kind"),
        (PKESK + packet(18, b"\x01" + CIPHERTEXT, partial=(0,)), "below 512"),
    ],
)
def test_refuses_the_packets_that_once_passed_for_encryption(packets: bytes, reason: str) -> None:
    """Plain ASCII, no version, an empty packet, no session key, text as one, a letter per chunk."""
    with pytest.raises(OpenPGPError, match=reason):
        encrypted_message(packets)


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        (PKESK + packet(18, b"\x01" + noise(39)), "too short"),
        (PKESK + packet(18, b"\x03" + noise(700)), "unknown kind"),
        (PKESK + seipd_v2(data=noise(71)), "too short"),
        (PKESK + seipd_v2(cipher=1), "unknown kind"),
        (PKESK + seipd_v2(mode=0), "unknown kind"),
        (PKESK + seipd_v2(mode=100), "unknown kind"),
        (PKESK + seipd_v2(chunk=17), "unknown kind"),
        (PKESK + ocb(data=noise(54)), "too short"),
        (PKESK + ocb(cipher=2), "unknown kind"),
        (PKESK + ocb(mode=4), "unknown kind"),
        (PKESK + ocb(chunk=57), "unknown kind"),
        (PKESK + packet(20, b"\x02" + noise(700)), "unknown kind"),
        (PKESK + packet(20, b"\x01"), "unknown kind"),
        (PKESK + seipd_v2(data=TEXT * 20), "is text"),
        (PKESK + ocb(data=TEXT * 20), "is text"),
        (PKESK + packet(18, b"\x01" + (TEXT * 40), partial=(9, *[0] * 200)), "is text"),
        (packet(1, b"\x03" + TEXT[:8] + b"\x01\x07\xff" + TEXT * 7 + b"!!!!") + SEIPD, "text in"),
        (
            packet(1, b"\x03" + TEXT[:8] + b"\x12\x01\x07@" + TEXT[:32] + b"0" + (TEXT * 2)[:48])
            + SEIPD,
            "text in",
        ),
    ],
)
def test_refuses_containers_and_keys_that_could_not_be_opened(packets: bytes, reason: str) -> None:
    """They have a version, algorithm or length that no software writes, or text instead."""
    with pytest.raises(OpenPGPError, match=reason):
        encrypted_message(packets)


def test_bounds_the_work_on_millions_of_tiny_packets() -> None:
    """30 MB of two-octet packets must not block the filter for seconds."""
    begin = time.process_time()
    for packets in (
        b"\xc1\x00" * 5_000_000,
        b"\xca\x00" * 5_000_000,
        b"\xd2\xe9" + noise(512) + b"\xe0x" * 5_000_000,
    ):
        with pytest.raises(OpenPGPError, match="too many"):
            encrypted_message(packets)

    assert time.process_time() - begin < 2


@pytest.mark.parametrize("chunk", [512, 8192, 1 << 20])
def test_stays_linear_on_thirty_megabytes(chunk: int) -> None:
    """For a file in chunks and in one piece."""
    data = b"\x01" + noise(30_000_000)
    power = chunk.bit_length() - 1
    pieces = [
        bytes([0xE0 | power]) + data[at : at + chunk] for at in range(0, len(data) - chunk, chunk)
    ]
    rest = data[chunk * len(pieces) :]
    chunked = b"\xd2" + b"".join(pieces) + b"\xff" + len(rest).to_bytes(4) + rest
    begin = time.process_time()
    for packets in (PKESK + chunked, PKESK + packet(18, data)):
        assert encrypted_message(packets) is packets

    assert time.process_time() - begin < 2


@given(st.binary(max_size=300))
def test_answers_any_bytes_with_a_verdict(data: bytes) -> None:
    """For any input, only the module's own exception is raised."""
    for packets in (data, PKESK + data, PKESK + data + SEIPD, PACKETS + data):
        with contextlib.suppress(OpenPGPError):
            encrypted_message(packets)


@given(st.integers(0, len(PACKETS) - 1), st.integers(0, 255))
def test_a_changed_octet_never_makes_room_for_trailing_data(at: int, value: int) -> None:
    """With any changed length, accepted bytes are packets up to the last octet."""
    changed = PACKETS[:at] + bytes([value]) + PACKETS[at + 1 :]
    try:
        encrypted_message(changed)
    except OpenPGPError:
        return
    with pytest.raises(OpenPGPError):
        encrypted_message(changed + b"hello")


def test_limits_are_wide_enough_for_the_largest_group() -> None:
    """A thousand recipients with several keys each must be accepted."""
    for key in (PKESK, packet(1, PKESK[2:])):
        encrypted_message(key * (openpgp.MAX_PACKETS - 1) + SEIPD)
