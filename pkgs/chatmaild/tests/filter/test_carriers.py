"""
The number of octets that a sender can pass to a stranger beside the ciphertext, per carrier.

Each test puts a phrase where it could be carried and sends the message through the pipeline. Then
it searches the whole output for the phrase, including the packets. Where a number is not 0, the
place holds random octets, too few to tell a phrase from them. Chosen octets can always be made to
look random.
"""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mails
from chatmaild.config import load
from chatmaild.filter.pipeline import Pass, Pipeline
from chatmaild.filter.policy import Envelope, Role
from mails import ALICE, BOB, BOUNDARY, CONTROL, DATA_HEADER, PACKETS, PKESK, SEIPD, noise, packet
from mails import encrypted_body as body

from .edits import apply

PHRASE = "Meet me under the old stone bridge at noon, bring the red book, tell nobody of it. "
WORDS = PHRASE.encode()
LINES = [WORDS[at : at + 16] for at in range(0, 80, 16)]
LONG_LINES = [WORDS[:40], WORDS[40:80]]
JOINED = re.sub("[^a-z]", "-", PHRASE.lower())[:69]


def pgp(content_type: str = mails.ENCRYPTED, **pieces: str | bytes) -> bytes:
    """Build a submission with some pieces changed."""
    return mails.header(content_type) + b"\n" + body(**pieces)  # type: ignore[arg-type]


def packed(packets: bytes) -> bytes:
    """Build a submission of these packets."""
    return pgp(data=mails.armor(packets))


def boundary(name: str) -> bytes:
    """Build a submission with this boundary."""
    kind = f'multipart/encrypted; protocol="application/pgp-encrypted"; boundary="{name}"'
    return pgp(kind, boundary=name)


def letter_by_letter(text: bytes) -> bytes:
    """Put each octet into a partial chunk of its own, after a chunk of a permitted length."""
    begin = b"\x01" + noise(511)
    letters = b"".join(b"\xe0" + bytes([octet]) for octet in text)
    return b"\xd2\xe9" + begin + letters + b"\x00"


def join(old: str, new: str) -> bytes:
    """Build a Secure-Join request with some text replaced."""
    changed = mails.secure_join().replace(old.encode(), new.encode())
    assert changed != mails.secure_join()
    return changed


def ecdh(name: bytes, point: bytes, wrapped: bytes) -> bytes:
    """Build a session key whose free octets are the text."""
    return packet(1, b"\x03" + name + b"\x12\x01\x07\x40" + point + b"\x30" + wrapped)


CARRIERS: dict[str, tuple[bytes, int]] = {
    # Around the parts
    "preamble": (pgp(before=f"{PHRASE}\n"), 0),
    "epilogue": (pgp(after=f"{PHRASE}\n"), 0),
    "boundary": (boundary(JOINED), 0),
    "boundary of 30 letters, as old cores made": (boundary(JOINED.replace("-", "x")[:30]), 0),
    "Content-Type parameter": (pgp(f'{mails.ENCRYPTED}; x="{PHRASE}"'), 0),
    "Content-Type comment": (pgp(mails.ENCRYPTED.replace(";", f" ({PHRASE});", 1)), 0),
    "delimiter line": (pgp(data=mails.armor() + f"\n--{BOUNDARY} {PHRASE}".encode()), 0),
    "a third part": (pgp(before=f"--{BOUNDARY}\n\n{PHRASE}\n"), 0),
    # In the parts
    "text after the version": (pgp(control=f"{CONTROL}{PHRASE}\n"), 0),
    "name of a part": (pgp(data_header=f'Content-Type: a/b; name="{PHRASE}"\n'), 0),
    "name of a part, RFC 2231": (pgp(data_header=f"{DATA_HEADER}X: y; name*={PHRASE}\n"), 0),
    "description of a part": (pgp(data_header=f"{DATA_HEADER}Content-Description: {PHRASE}\n"), 0),
    "file name": (
        pgp(data_header=f'{DATA_HEADER}Content-Disposition: inline; filename="{PHRASE}"\n'),
        0,
    ),
    "another field of a part": (pgp(data_header=f"Subject: {PHRASE}\n{DATA_HEADER}"), 0),
    "a line that is no field": (pgp(data_header=f"{PHRASE}\n{DATA_HEADER}"), 0),
    "quoted-printable": (
        pgp(data_header=f"{DATA_HEADER.replace('7bit', 'quoted-printable')}X: {PHRASE}\n"),
        0,
    ),
    # In the armor
    "armor header": (pgp(data=mails.armor(headers=f"Comment: {PHRASE}\n")), 0),
    "armor checksum": (pgp(data=mails.armor(checksum="=Meet\n")), 0),
    "text before the armor": (pgp(data=WORDS + b"\n" + mails.armor()), 0),
    "text after the armor": (pgp(data=mails.armor() + WORDS), 0),
    "line lengths": (pgp(data=mails.armor().replace(b"wV4", b"w\nV\n4")), 0),
    # Packets
    "padding packet": (packed(packet(21, WORDS) + PACKETS), 0),
    "marker packet": (packed(packet(10, WORDS) + PACKETS), 0),
    "unknown packet": (packed(packet(60, WORDS) + PACKETS), 0),
    "literal packet": (packed(PACKETS + packet(11, b"b\0\0\0\0\0" + WORDS)), 0),
    "session key of text": (packed(packet(1, WORDS) + SEIPD), 0),
    "RSA session key": (
        packed(packet(1, b"\x03" + noise(8) + b"\x01\x07\xff" + (WORDS * 4)[:256]) + SEIPD),
        0,
    ),
    "ECDH session key, all of it": (packed(ecdh(WORDS[:8], WORDS[8:40], WORDS[34:82]) + SEIPD), 0),
    "S2K specifier": (packed(packet(3, b"\x04\x09" + WORDS) + SEIPD), 0),
    "encrypted data": (packed(PKESK + packet(18, b"\x01" + WORDS * 9)), 0),
    "the middle of encrypted data": (
        packed(PKESK + packet(18, b"\x01" + WORDS.join([noise(900)] * 2))),
        0,
    ),
    "salt and data of SEIPD version 2": (
        packed(PKESK + packet(18, b"\x02\x09\x02\x06" + WORDS)),
        0,
    ),
    "nonce and data of type 20": (packed(PKESK + packet(20, b"\x01\x09\x02\x10" + WORDS)), 0),
    "half lines amid noise": (packed(PKESK + packet(18, b"\x01" + noise(9).join(LINES * 9))), 0),
    "lines amid noise": (packed(PKESK + packet(18, b"\x01" + noise(9).join(LONG_LINES * 9))), 0),
    "the points of many session keys": (
        packed(b"".join(ecdh(noise(8), WORDS[:32], noise(48)) for _ in range(20)) + SEIPD),
        0,
    ),
    "partial chunks of an octet": (packed(PKESK + letter_by_letter(WORDS)), 0),
    "encrypted data without a session key": (packed(SEIPD), 0),
    # A Secure-Join request
    "text of a request": (join("Secure-Join: vc-request\n--", f"{PHRASE}\n--"), 0),
    "text below a request": (join("vc-request\n--", f"vc-request\n{PHRASE}\n--"), 0),
    "charset of a request": (join('charset="utf-8"', f'charset="{PHRASE}"'), 0),
    "field in the part of a request": (join("Content-Tr", f"X: {PHRASE}\nContent-Tr"), 0),
    "Message-ID in the part": (join("Content-Tr", f"Message-ID: <{JOINED}>\nContent-Tr"), 0),
    "preamble of a request": (join(f"\n--{BOUNDARY}\n", f"{PHRASE}\n--{BOUNDARY}\n"), 0),
    "boundary of a request": (join(BOUNDARY, JOINED), 0),
    # Random octets that are too few for a test
    "key ID": (packed(ecdh(WORDS[:8], noise(32), noise(48)) + SEIPD), 8),
    "point of a curve": (packed(ecdh(noise(8), WORDS[:32], noise(48)) + SEIPD), 32),
    "wrapped key": (packed(ecdh(noise(8), noise(32), WORDS[:48]) + SEIPD), 48),
    "salt of a passphrase": (
        packed(packet(3, b"\x04\x09\x03\x08" + WORDS[:8] + b"\x60") + SEIPD),
        8,
    ),
    "53 octets amid encrypted data": (
        packed(PKESK + packet(18, b"\x01" + noise(400) + b"\0" + WORDS[:53] + b"\0" + noise(400))),
        53,
    ),
}


@pytest.fixture
def pipeline(tmp_path: Path, settings: dict[str, Any]) -> Pipeline:
    """Provide a pipeline that signs nothing."""
    (tmp_path / "chatmaild.json").write_text(json.dumps(settings))
    return Pipeline(load(tmp_path / "chatmaild.json"), None, lambda _name, _seconds: [])


def sent(pipeline: Pipeline, mail: bytes) -> bytes:
    """Return all octets that leave, including the packets without their armor."""
    headers, content = mails.split(mail)
    passed = pipeline.finish(Role.SUBMISSION, Envelope(ALICE, (BOB,), ALICE, ""), headers, content)
    if not isinstance(passed, Pass):
        return b""
    lines = [name + b":" + value for name, value in apply(headers, passed.edits)]
    whole = b"\r\n".join([*lines, b"", content if passed.body is None else passed.body])
    found = re.findall(rb"(?:[0-9A-Za-z+/][0-9A-Za-z+/=]{0,63}\r\n)+(?==|-----END)", whole)
    return whole + b"".join(base64.b64decode(armored) for armored in found)


def reached(text: bytes, whole: bytes) -> int:
    """Return how many consecutive octets of `text` are found in `whole`."""
    return max(
        (
            end - begin
            for begin in range(len(text))
            for end in range(begin + 1, len(text) + 1)
            if text[begin:end] in whole
        ),
        default=0,
    )


@pytest.mark.parametrize(
    ("mail", "octets"), CARRIERS.values(), ids=[name.replace(" ", "-") for name in CARRIERS]
)
def test_what_reaches_a_stranger(pipeline: Pipeline, mail: bytes, octets: int) -> None:
    """
    The phrase has 83 octets.

    Runs of three letters occur in any text, so they are not counted.
    """
    whole = sent(pipeline, mail)
    found = max(reached(text, whole) for text in (WORDS, JOINED.encode(), b"Meet"))

    assert (found if found > 3 else 0) == octets


def test_a_phrase_would_be_seen(pipeline: Pipeline) -> None:
    """It checks the measure: the content of a setup message to oneself is found."""
    mail = mails.setup_message().replace(b"This message", WORDS + b"This message")
    headers, content = mails.split(mail)
    to_oneself = Envelope(ALICE, (ALICE,), ALICE, "")

    assert isinstance(pipeline.finish(Role.SUBMISSION, to_oneself, headers, content), Pass)
    assert reached(WORDS, content) == len(WORDS)
    assert reached(WORDS, sent(pipeline, mails.encrypted())) <= 3


@pytest.mark.parametrize("build", [packed], ids=["packets"])
def test_the_packets_are_searched(pipeline: Pipeline, build: Callable[[bytes], bytes]) -> None:
    """It checks the measure: the key ID of a real message is found in the output."""
    assert PKESK[3:11] in sent(pipeline, build(PACKETS))
