"""Only armour that is packets from end to end counts as encrypted."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.message import openpgp
from chatmaild.message.openpgp import OpenPGPError, decode_armor, require_encrypted
from mails import PACKETS, PKESK, SEIPD, SKESK, armor, crlf, packet


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_reads_the_packets_out_of_armor(line_end: bytes) -> None:
    """Transfer encodings leave either line end."""
    text = armor().replace(b"\n", line_end)

    assert decode_armor(text, headers_allowed=False) == PACKETS


def test_reads_armor_without_checksum() -> None:
    """RFC 9580 6.1 makes the CRC24 optional."""
    assert decode_armor(armor(checksum=""), headers_allowed=False) == PACKETS


def test_ignores_a_wrong_checksum() -> None:
    """RFC 9580 6.1: an implementation must not reject a message for its CRC24."""
    assert decode_armor(armor(checksum="=AAAA\n"), headers_allowed=False) == PACKETS


@pytest.mark.parametrize("header", ["Version: GnuPG v2\n", "Version: X 1\nComment: https://x.y\n"])
def test_tolerates_what_programs_say_about_themselves_only_where_allowed(header: str) -> None:
    """Other people's programs write such lines; our own users' must not reveal their program."""
    assert decode_armor(crlf(armor(headers=header)), headers_allowed=True) == PACKETS
    with pytest.raises(OpenPGPError, match="header line"):
        decode_armor(armor(headers=header), headers_allowed=False)


def test_tolerates_a_version_line_without_the_empty_line_after_it() -> None:
    """Data cannot be mistaken for a header, so older relays let this pass and so do we."""
    text = armor(headers="Version: 1\n").replace(b"Version: 1\n\n", b"Version: 1\n")

    assert decode_armor(text, headers_allowed=True) == PACKETS


@pytest.mark.parametrize(
    "header",
    [
        "Message: this is readable by everybody\n",
        "Comment: " + "long story " * 10 + "\n",
        "Version: 1\n" * 5,
        "Version: caf\u00e9\n",
        "Version 1\n",
    ],
)
def test_refuses_armor_headers_that_can_carry_a_letter(header: str) -> None:
    """A tolerated header must not become a channel for cleartext."""
    with pytest.raises(OpenPGPError):
        decode_armor(armor(headers=header), headers_allowed=True)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello\n" + armor(),
        armor() + b"hello\n",
        armor() + armor(),
        armor().replace(b"\n=agR5", b"\nhello you\n=agR5"),
        armor().replace(b"\n=agR5", b"\nhello, you!\n=agR5"),
        armor(checksum="=agR5\n=agR5\n"),
        armor(checksum="=4cf0a3\n"),
        armor().replace(b"PGP MESSAGE", b"PGP SIGNED MESSAGE"),
        armor().replace(b"\n", b"\r"),
        b"-----BEGIN PGP MESSAGE-----\n-----END PGP MESSAGE----\n",
    ],
)
def test_refuses_armor_with_anything_but_base64_in_it(text: bytes) -> None:
    """Text before, after, between: all of it would be readable on the way."""
    with pytest.raises(OpenPGPError):
        decode_armor(text, headers_allowed=True)


@pytest.mark.parametrize(
    "packets",
    [
        SEIPD,
        PKESK + SEIPD,
        SKESK + SEIPD,
        PKESK * 3 + SKESK + PKESK + SEIPD,
        PKESK + packet(18, b"z" * 1500, partial=(9, 9, 8)),
        PKESK + packet(18, b"z" * 1024, partial=(9, 9)),
        b"\xc1\x05hello" + SEIPD,
        b"\xc1\xc0\x00" + b"k" * 192 + SEIPD,
        b"\x85\x00\x03abc" + SEIPD,
        b"\x84\x03abc" + b"\x8e\x00\x00\x00\x02ab" + SEIPD,
    ],
)
def test_accepts_session_keys_and_one_container(packets: bytes) -> None:
    """RFC 9580 10.3, in every length format, the old packet format for session keys included."""
    require_encrypted(packets)


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        (b"", "cut off"),
        (PKESK, "cut off"),
        (PKESK + SEIPD[:-1], "cut off"),
        (SEIPD + b"x", "follows"),
        (SEIPD + PKESK, "follows"),
        (SEIPD + SEIPD, "follows"),
        (packet(11, b"b\0\0\0\0\0hello") + SEIPD, "packet type 11"),
        (packet(8, b"compressed"), "packet type 8"),
        (packet(9, b"no integrity"), "packet type 9"),
        (packet(10, b"PGP") + SEIPD, "packet type 10"),
        (packet(21, b"padding") + SEIPD, "packet type 21"),
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
        require_encrypted(packets)


def test_bounds_the_work_on_millions_of_tiny_packets() -> None:
    """Thirty megabytes of two-octet packets must not hold the filter for seconds."""
    begin = time.process_time()
    with pytest.raises(OpenPGPError, match="too many"):
        require_encrypted(b"\xc1\x00" * 5_000_000)
    with pytest.raises(OpenPGPError, match="too many"):
        require_encrypted(b"\xd2" + b"\xe0x" * 5_000_000)

    assert time.process_time() - begin < 2


@given(st.binary(max_size=300))
def test_answers_any_bytes_with_a_verdict(data: bytes) -> None:
    """Whatever a stranger sends, the only exception is the module's own."""
    for step in (
        lambda: decode_armor(data, headers_allowed=True),
        lambda: require_encrypted(data),
        lambda: decode_armor(b"-----BEGIN PGP MESSAGE-----\n" + data, headers_allowed=True),
        lambda: require_encrypted(PKESK + data),
    ):
        with contextlib.suppress(OpenPGPError):
            step()


@given(st.integers(0, len(PACKETS) - 1), st.integers(0, 255))
def test_a_changed_octet_never_makes_room_for_trailing_data(at: int, value: int) -> None:
    """Whatever a changed length says, accepted bytes are packets to the last octet."""
    changed = PACKETS[:at] + bytes([value]) + PACKETS[at + 1 :]
    try:
        require_encrypted(changed)
    except OpenPGPError:
        return
    with pytest.raises(OpenPGPError):
        require_encrypted(changed + b"hello")


def test_limits_are_wide_enough_for_the_largest_group() -> None:
    """A thousand recipients with several keys each must pass."""
    require_encrypted(PKESK * (openpgp.MAX_SESSION_KEYS - 1) + SEIPD)
