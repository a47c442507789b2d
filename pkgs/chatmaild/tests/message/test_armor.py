"""Armor in any form is read, but only the relay's own form counts as canonical."""

import base64
import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.message import armor
from chatmaild.message.armor import HEAD, TAIL, ArmorError, crc24, decode, decode_canonical, encode
from mails import PACKETS, crlf, noise
from mails import armor as armored


def own(packets: bytes) -> bytes:
    """Return the relay's own armor between its first and its last line."""
    return encode(packets).removeprefix(HEAD).removesuffix(TAIL)


def checksum(packets: bytes) -> bytes:
    """Return the checksum line, with the line end before it."""
    return b"\r\n=" + base64.b64encode(crc24(packets).to_bytes(3))


def crc24_of_rfc9580(data: bytes) -> int:
    """Compute the checksum of RFC 9580 6.1.1 bit by bit."""
    crc = 0xB704CE
    for octet in data:
        crc ^= octet << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc & 0xFFFFFF


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r\r\n"])
def test_reads_the_packets_out_of_armor(line_end: bytes) -> None:
    """Transfer encodings leave either line end, and broken programs leave more."""
    assert decode(armored().replace(b"\n", line_end)) == PACKETS


@pytest.mark.parametrize("checksum", ["", "=agR5\n", "=AAAA\n", "\n=agR5\n"])
def test_reads_armor_with_any_checksum(checksum: str) -> None:
    """RFC 9580 6.1: it is optional, and a wrong one is not a reason to refuse a message."""
    assert decode(armored(checksum=checksum)) == PACKETS


@pytest.mark.parametrize(
    "headers",
    [
        "Version: GnuPG v1\n",
        "Version: OpenPGP.js v4.10.10\nComment: https://openpgpjs.org\n",
        "Comment: gr\u00fc\u00dfe, \u4f60\u597d\n",
        "Charset: utf-8\nHash: SHA256\nMessageID: k3l2\n",
        "Comment:\n",
        "Comment: one\n" * 20,
    ],
)
def test_drops_armor_headers(headers: str) -> None:
    """GnuPG 1, OpenPGP.js 4, web mailers and Symantec write them; none is forwarded."""
    assert decode(armored(headers=headers)) == PACKETS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"-----\n\n", b"-----\n \t\n"),
        (b"\n", b" \t\n"),
        (b"-----\n\n", b"-----\n"),
        (b"\n-----END", b"\n\n\n-----END"),
        (b"-----\n\n", b"-----\nVersion: 1\n"),
        (b"MESSAGE-----\n\n", b"MESSAGE----- x\n\n"),
    ],
)
def test_ignores_white_space(old: bytes, new: bytes) -> None:
    """RFC 9580 6.2 allows it at line ends, gateways add it, and PGP omits the empty line."""
    text = armored()
    assert old in text

    assert decode(text.replace(old, new)) == PACKETS


def test_reads_base64_on_one_line() -> None:
    """Of any length, because some web mailers do not break lines."""
    packets = noise(20_000)
    text = HEAD + base64.b64encode(packets) + TAIL

    assert decode(text) == packets


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello\n" + armored(),
        armored() + b"hello\n",
        armored() + armored(),
        armored(checksum="hello, you!\n"),
        armored(checksum="=agR5\n=agR5\n"),
        armored(checksum="=4cf0a3\n"),
        armored().replace(b"PGP MESSAGE", b"PGP SIGNED MESSAGE"),
        armored().replace(b"MESSAGE-----", b"MESSAGE, PART 1/2-----"),
        armored().replace(b"\n", b"\r"),
        armored(headers="Comment: " + "x" * armor.MAX_HEADERS_BYTES + "\nComment: y\n"),
        b"-----BEGIN PGP MESSAGE-----\n-----END PGP MESSAGE----\n",
        b"-----BEGIN PGP MESSAGE----------END PGP MESSAGE-----\n",
    ],
)
def test_refuses_armor_with_anything_but_base64_in_it(text: bytes) -> None:
    """Text around it was written to be read, so it must not be dropped silently."""
    with pytest.raises(ArmorError):
        decode(text)


@pytest.mark.parametrize("size", [1, 2, 3, 47, 48, 49, 95, 96, 97, 1000, 48_000, 48_001, 100_000])
def test_writes_the_canonical_form(size: int) -> None:
    """Lines have 64 characters for data of any length, with or without a checksum."""
    packets = noise(size)
    text = encode(packets)

    assert decode(text) == packets
    assert decode_canonical(own(packets)) == packets
    assert decode_canonical(own(packets) + checksum(packets)) == packets
    assert encode(packets, checksum=True) == HEAD + own(packets) + checksum(packets) + TAIL
    assert {len(line) for line in own(packets).split(b"\r\n")[:-1]} <= {64}


OTHER_FORMS = {
    "wrong checksum": own(PACKETS) + b"\r\n=text",
    "checksum on the last line": own(PACKETS[:47]) + b"=" + checksum(PACKETS[:47])[3:],
    "short lines": crlf(base64.encodebytes(PACKETS).strip()),
    "an empty line": own(PACKETS).replace(b"\r\n", b"\r\n\r\n", 1),
    "line end at the end": own(PACKETS) + b"\r\n",
    "no line ends": base64.b64encode(PACKETS),
    "LF": own(PACKETS).replace(b"\r\n", b"\n"),
    "a blank": own(PACKETS).replace(b"\r\n", b" \r\n", 1),
    "headers": b"Comment: x\r\n\r\n" + own(PACKETS),
    "bits beyond the last octet": own(PACKETS[:100])[:-3] + b"B==",
    "empty": b"",
    "checksum alone": checksum(b"")[2:],
}


@pytest.mark.parametrize("data", OTHER_FORMS.values(), ids=OTHER_FORMS.keys())
def test_no_other_form_is_canonical(data: bytes) -> None:
    """Each of them has octets that a sender can choose besides the packets."""
    assert decode_canonical(data) is None


@given(st.binary(max_size=2000))
def test_computes_the_checksum_of_rfc9580(data: bytes) -> None:
    """The folded arithmetic gives the standard's result."""
    assert crc24(data) == crc24_of_rfc9580(data)


@given(st.binary(min_size=1, max_size=300))
def test_what_it_writes_is_read_unchanged(packets: bytes) -> None:
    """Byte for byte."""
    assert decode(encode(packets)) == decode_canonical(own(packets)) == packets


@given(st.binary(max_size=300))
def test_answers_any_bytes_with_a_verdict(data: bytes) -> None:
    """For any input, only the module's own exception is raised."""
    for text in (data, b"-----BEGIN PGP MESSAGE-----\n" + data + b"\n-----END PGP MESSAGE-----"):
        with contextlib.suppress(ArmorError):
            decode(text)
    found = decode_canonical(data)
    assert found is None or data in (own(found), own(found) + checksum(found))


@given(
    st.integers(1, 150),
    st.integers(0, 250),
    st.integers(0, 3),
    st.text("=A/+Bz\r\n -:", max_size=4),
    st.booleans(),
)
def test_a_changed_form_is_not_canonical(
    size: int, at: int, cut: int, inserted: str, summed: bool
) -> None:
    """Wherever characters are removed from the canonical form or inserted into it."""
    packets = noise(size)
    text = own(packets) + (checksum(packets) if summed else b"")
    at = min(at, len(text))
    changed = text[:at] + inserted.encode() + text[at + cut :]
    found = decode_canonical(changed)

    assert found is None or changed in (own(found), own(found) + checksum(found))


@pytest.mark.parametrize("filler", [b"\r\n", b": \n", b":", b"A: b\r\n", b"=\n", b"QUJD"])
def test_stays_linear_on_armor_made_to_be_slow(filler: bytes) -> None:
    """30 MB of the worst input must cost no more than reading it."""
    text = HEAD + filler * (30_000_000 // len(filler)) + TAIL
    begin = time.process_time()
    with contextlib.suppress(ArmorError):
        encode(decode(text))
    decode_canonical(text[len(HEAD) : -len(TAIL)])

    assert time.process_time() - begin < 2
