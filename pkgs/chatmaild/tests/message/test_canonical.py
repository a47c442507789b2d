"""Encrypted mail gets one form; mail that already has it is not changed."""

import base64
import re
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mails
from chatmaild.message import armor
from chatmaild.message.canonical import REFUSALS, Rebuilt, encrypted, secure_join
from chatmaild.message.structure import Header
from mails import BOUNDARY, PACKETS, PKESK, crlf, encrypted_body, noise, packet, split

INTEROP = Path(__file__).parent.parent / "filter" / "interop"
PHRASE = "a sentence for a stranger"


def message(
    content_type: str = mails.ENCRYPTED, **pieces: str | bytes
) -> tuple[list[Header], bytes]:
    """Build PGP/MIME with some pieces changed."""
    body = encrypted_body(**pieces)  # type: ignore[arg-type]
    return [(b"Content-Type", b" " + crlf(content_type))], crlf(body)


def packets_of(body: bytes) -> bytes:
    """Return the packets of a canonical body, found only by the lines of the armor."""
    found = re.search(rb"-----BEGIN PGP MESSAGE-----\r\n\r\n(.*)-----END", body, re.DOTALL)
    assert found
    return armor.decode(
        b"-----BEGIN PGP MESSAGE-----\n\n" + found[1] + b"-----END PGP MESSAGE-----"
    )


def rebuilt(headers: list[Header], body: bytes) -> Rebuilt:
    """Rebuild a message that is not canonical, and check that the result is."""
    made = encrypted(headers, body)
    assert made is not None
    assert encrypted([(b"Content-Type", made.content_type)], made.body) is None
    assert PHRASE.encode() not in made.content_type + made.body
    assert BOUNDARY.encode() not in made.content_type + made.body
    return made


def armor_checksum(packets: bytes) -> str:
    """Return the line with the correct checksum."""
    return "=" + base64.b64encode(armor.crc24(packets).to_bytes(3)).decode() + "\n"


OLD_CORE = {
    "control": (
        'Content-Type: application/pgp-encrypted; charset="utf-8"\n'
        "Content-Description: PGP/MIME version identification\n"
        "Content-Transfer-Encoding: 7bit\n\nVersion: 1\n"
    ),
    "data_header": (
        'Content-Type: application/octet-stream; name="encrypted.asc"; \n\tcharset="utf-8"\n'
        "Content-Description: OpenPGP encrypted message\n"
        'Content-Disposition: inline; filename="encrypted.asc";\n'
        "Content-Transfer-Encoding: 7bit\n"
    ),
}


@pytest.mark.parametrize("core", [{}, OLD_CORE], ids=["since 2.50", "since 1.159"])
@pytest.mark.parametrize("fold", ["\n ", " \n\t", " "])
@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("empty_lines", [b"", b"\n"])
def test_does_not_change_mail_of_released_cores(
    core: dict[str, str], fold: str, end: str, checksum: bool, empty_lines: bytes
) -> None:
    """Messages of cores 1.160, 2.0, 2.24, 2.49, 2.60 and 2.65, as sent."""
    line = armor_checksum(PACKETS) if checksum else ""
    kind = mails.ENCRYPTED.replace("\n ", fold)
    data = mails.armor(checksum=line) + empty_lines

    assert encrypted(*message(kind, data=data, after=end, **core)) is None


@pytest.mark.parametrize(
    "pieces",
    [
        {"before": f"{PHRASE}\n"},
        {"before": ""},
        {"before": "\n\n"},
        {"after": f"{PHRASE}\n"},
        {"after": "\n\n"},
        {"data": mails.armor(headers=f"Comment: {PHRASE}\n")},
        {"data": mails.armor(headers=f"{PHRASE}:\n")},
        {"data": mails.armor(checksum="=text\n")},
        {"data": mails.armor().replace(b"\n", b" \n")},
        {"data": mails.armor(packet(10, PHRASE.encode()) + PACKETS)},
        {"data_header": f"Subject: {PHRASE}\n{mails.DATA_HEADER}"},
        {"data_header": f'Content-Type: application/octet-stream; name="{PHRASE}"\n'},
        {"data_header": "Content-Type: application/octet-stream\nMIME-Version: 1.0\n"},
        {"data_header": f"Content-Description: {PHRASE}\n{mails.DATA_HEADER}"},
        {"data_header": mails.DATA_HEADER.upper()},
        {"control": f"Content-Type: application/pgp-encrypted\n\nVersion: 1\n{PHRASE}\n"},
        {"control": "Content-Type: application/pgp-encrypted\n\nVERSION :1"},
        {"content_type": f"multipart/encrypted; ; boundary={BOUNDARY}"},
        {"content_type": f"multipart/encrypted ({PHRASE}); boundary={BOUNDARY}"},
        {"content_type": f'{mails.ENCRYPTED}; note="{PHRASE}"'},
        {
            "content_type": "multipart/encrypted;"
            f" boundary*0={BOUNDARY[:9]}; boundary*1={BOUNDARY[9:]}"
        },
        {"content_type": f"multipart/mixed; boundary={BOUNDARY}"},
        {"before": f"\n--{BOUNDARY}\n\n \n"},
    ],
)
def test_rebuilds_what_other_programs_write(pieces: dict[str, str | bytes]) -> None:
    """Only the packets are kept, byte for byte."""
    made = rebuilt(*message(**pieces))  # type: ignore[arg-type]

    assert packets_of(made.body) == PACKETS


def test_replaces_a_boundary_that_could_be_words() -> None:
    """Cores before 1.159 used thirty random letters."""
    kind = 'multipart/encrypted; protocol="application/pgp-encrypted";\n boundary="meet-me-at-noon"'
    made = rebuilt(*message(kind, boundary="meet-me-at-noon"))

    assert b"meet" not in made.content_type + made.body


SHAPES = [*INTEROP.glob("shape-*.eml"), *INTEROP.glob("pgp-*.eml")]


@pytest.mark.parametrize("path", SHAPES, ids=lambda path: path.stem)
def test_rebuilds_messages_of_real_programs(path: Path) -> None:
    """GnuPG 1 and 2, OpenPGP.js, RNP, Python, and the forms of mail programs and gateways."""
    headers, body = split(path.read_bytes())
    made = rebuilt(headers, body)
    lines = body.replace(b" \r\n", b"\r\n").split(b"\r\n")

    assert len(SHAPES) == 16
    assert b"".join(lines).count(packets_of_lines(made.body)) == 1


def packets_of_lines(body: bytes) -> bytes:
    """Return the base64 of a canonical body on one line."""
    return body.partition(armor.HEAD)[2].partition(armor.TAIL)[0].replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "pieces",
    [
        {"content_type": f"text/plain; boundary={BOUNDARY}"},
        {"content_type": f"multipart/signed; boundary={BOUNDARY}"},
        {"content_type": "multipart/encrypted"},
        {"control": "Content-Type: text/plain\n\nVersion: 1\n"},
        {"control": "Content-Type: application/pgp-encrypted\n\nVersion: 2\n"},
        {"control": "Content-Type: application/pgp-encrypted\n\nVersion: 10\n"},
        {"control": f"Content-Type: application/pgp-encrypted\n\n{PHRASE}\nVersion: 1\n"},
        {"data_header": "Content-Type: text/plain\n"},
        {"data_header": "Content-Type: multipart/mixed\n"},
        {"data": mails.armor() + PHRASE.encode()},
        {"data": PHRASE.encode() + b"\n" + mails.armor()},
        {"data": mails.armor(packet(11, b"b\0\0\0\0\0hello"))},
        {"before": f"--{BOUNDARY}\n\n{PHRASE}\n"},
        {"after": f"--{BOUNDARY}\n\n{PHRASE}\n", "data": mails.armor() + b"\n"},
    ],
)
def test_refuses_what_is_not_encrypted_as_a_whole(pieces: dict[str, str | bytes]) -> None:
    """The sender wrote text to be read, and must learn that it was not sent."""
    headers, body = message(**pieces)  # type: ignore[arg-type]
    if "after" in pieces:
        body = body.replace(f"--{BOUNDARY}--\r\n".encode(), b"")
    with pytest.raises(REFUSALS):
        encrypted(headers, body)


def test_rebuilds_the_requests_of_older_cores() -> None:
    """Core up to 2.49 repeats the Message-ID in the part; core 2.59 writes no parts."""
    old = split((INTEROP / "securejoin-core-2.24.eml").read_bytes())
    plain = split(
        mails.header("text/plain; charset=utf-8", extra="Secure-Join: vg-request\n")
        + b"\nSecure-Join: vg-request\n"
    )
    for headers, body in (old, plain):
        made = secure_join(headers, body)
        assert made is not None
        again = [(name, value) for name, value in headers if name.lower() != b"content-type"]
        assert secure_join([*again, (b"Content-Type", made.content_type)], made.body) is None
        assert b"Message-ID" not in made.body


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("step", ["vc-request", "vg-request"])
def test_does_not_change_the_request_of_core(step: str, end: bytes) -> None:
    """Since 2.60."""
    assert secure_join(*split(mails.secure_join(step, f"Secure-Join: {step}") + end)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Secure-Join: vc-request\n--", b"secure-join: VC-request\n--"),
        (b"Secure-Join: vc-request\n--", b"Secure-Join: vc-request\n\n\n--"),
        (b'charset="utf-8"', f'charset="{PHRASE}"'.encode()),
        (b"Content-Transfer", f"X-Text: {PHRASE}\nContent-Transfer".encode()),
        (f"\n--{BOUNDARY}\n".encode(), f"{PHRASE}\n--{BOUNDARY}\n".encode()),
        (b"--\n", f"--\n{PHRASE}\n".encode()),
        (BOUNDARY.encode(), b"meet-me-at-noon"),
    ],
)
def test_removes_all_text_from_a_request(old: bytes, new: bytes) -> None:
    """It is the only readable mail that leaves, so it must carry no message."""
    changed = mails.secure_join().replace(old, new)
    assert changed != mails.secure_join()
    made = secure_join(*split(changed))

    assert made is not None
    assert made.body.count(b"\r\n") == 7
    assert re.sub(rb"[0-9a-f]{16}", b"", made.body) == re.sub(
        rb"[0-9a-f]{16}", b"", split(mails.secure_join())[1]
    )


@pytest.mark.parametrize(
    "mail",
    [
        mails.secure_join(text="secure-join: hello"),
        mails.secure_join(text="Secure-Join: vc-request\nhello"),
        mails.secure_join(step="vc-auth-required"),
        mails.secure_join().replace(b"\nSecure-Join:", b"\nX-Join:"),
        mails.secure_join().replace(b"text/plain", b"text/html"),
        mails.header("text/html", extra="Secure-Join: vc-request\n") + b"\nSecure-Join: vc-request",
        b"Secure-Join: vc-request\n\nSecure-Join: vc-request\n",
    ],
)
def test_refuses_a_request_that_says_more(mail: bytes) -> None:
    """If its text were dropped, the recipient would not get it."""
    with pytest.raises(REFUSALS):
        secure_join(*split(mail))


@pytest.mark.parametrize("size", [60, 61, 62])
def test_rebuilt_armor_has_the_checksum_that_gnupg_needs(size: int) -> None:
    """Without it, GnuPG 2.4 finds no data in armor that ends without padding."""
    packets = PKESK + packet(18, b"\x01" + noise(size))
    made = rebuilt(*message(data=mails.armor(packets), before=f"{PHRASE}\n"))

    assert crlf(armor_checksum(packets) + "-----END") in made.body


def test_rebuilt_armor_of_seipd_version_2_has_no_checksum() -> None:
    """RFC 9580 6.1 forbids it, and the programs that read this version need none."""
    packets = PKESK + packet(18, b"\x02\x09\x02\x06" + noise(200))
    made = rebuilt(*message(data=mails.armor(packets), before=f"{PHRASE}\n"))

    assert b"\r\n=" not in made.body


noise_of = st.integers(50, 400).map(lambda size: PKESK + packet(18, b"\x01" + noise(size)))
line = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=60)


@given(noise_of, st.integers(1, 90), st.lists(line, max_size=3), st.booleans())
def test_rebuilding_keeps_the_packets_and_is_done_once(
    packets: bytes, width: int, lines: list[str], cr: bool
) -> None:
    """Line lengths, headers, preamble and epilogue do not matter: same packets, same form."""
    words = "".join(f"{one}\n" for one in lines)
    data = "\n".join(textwrap.wrap(base64.b64encode(packets).decode(), width))
    headers = "".join(f"Comment: {one}\n" for one in lines)
    text = f"-----BEGIN PGP MESSAGE-----\n{headers}\n{data}\n-----END PGP MESSAGE-----\n"
    fields, body = message(data=text.encode(), before=words, after=words)
    made = encrypted(fields, body.replace(b"\r\n", b"\r\r\n") if cr else body)
    if made is not None:
        assert packets_of(made.body) == packets
        assert encrypted([(b"Content-Type", made.content_type)], made.body) is None
    else:
        assert packets_of(body) == packets


@pytest.mark.parametrize("canonical_form", [True, False])
def test_stays_linear_on_thirty_megabytes(canonical_form: bool) -> None:
    """As large as a file can be."""
    size = 21_000_000
    packets = PKESK + packet(18, b"\x01" + noise(size))
    text = armor.encode(packets)
    headers, body = message(data=b"@@")
    body = (body if canonical_form else b"x" + body).replace(b"@@", text)
    begin = time.process_time()
    made = encrypted(headers, body)

    assert time.process_time() - begin < 2
    assert (made is None) is canonical_form
    assert made is None or packets_of(made.body) == packets
