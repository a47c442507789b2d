"""A MIME structure is accepted only when nobody can read it differently."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.message.structure import (
    ContentType,
    Part,
    StructureError,
    content_type,
    only_value,
    parts,
)
from mails import armor, crlf, encrypted_body


def parsed(value: str) -> ContentType:
    """Content-Type of a message whose field has this value."""
    return content_type([(b"Content-Type", value.encode())])


MIXED = parsed(" multipart/mixed; boundary=b1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" text/plain", ContentType("text/plain", {})),
        (" Text/PLAIN; Charset=UTF-8;", ContentType("text/plain", {"charset": "UTF-8"})),
        (
            ' multipart/encrypted; protocol="application/pgp-encrypted";\r\n\tboundary="b\\"1"',
            ContentType(
                "multipart/encrypted",
                {"protocol": "application/pgp-encrypted", "boundary": 'b"1'},
            ),
        ),
    ],
)
def test_reads_content_type(value: str, expected: ContentType) -> None:
    """Types and parameter names know no case, values do; folds are white space."""
    assert parsed(value) == expected


def test_a_message_without_content_type_is_plain_text() -> None:
    """RFC 2045 5.2."""
    assert content_type([]) == ContentType("text/plain", {})


@pytest.mark.parametrize(
    "value",
    [
        "",
        " multipart",
        " multipart/encrypted (x); boundary=b1",
        " multipart/encrypted; boundary=b1; boundary=b2",
        " multipart/encrypted; boundary=b1; BOUNDARY=b2",
        " multipart/encrypted; boundary*=us-ascii''b1",
        " multipart/encrypted; boundary*0=b; boundary*1=1",
        ' multipart/encrypted; boundary="b1',
        " multipart/encrypted boundary=b1",
        " multipart/encrypted; boundary=b1 b2",
        " multipart/encr\u00fcpted; boundary=b1",
        " a/b; c=" + "x" * 3000,
    ],
)
def test_refuses_a_content_type_that_parsers_read_differently(value: str) -> None:
    """Two parsers, two boundaries: one of them would see cleartext."""
    with pytest.raises(StructureError):
        parsed(value)


def test_refuses_a_second_content_type() -> None:
    """Which one counts differs between parsers."""
    with pytest.raises(StructureError, match="2 times"):
        content_type([(b"Content-Type", b" text/plain"), (b"content-type", b" text/html")])


def test_splits_a_multipart_body() -> None:
    """The shape chat clients send, blank lines around included."""
    kind = parsed(" multipart/encrypted; boundary=b1")

    assert parts(kind, crlf(encrypted_body(b"data\n"))) == [
        Part("application/pgp-encrypted", b"Version: 1\r\n"),
        Part("application/octet-stream", b"data\r\n"),
    ]


@pytest.mark.parametrize(
    ("encoding", "raw", "content"),
    [
        ("7bit", "a=3D\n", b"a=3D\r\n"),
        ("Quoted-Printable", "a=3Db=\nc\n", b"a=bc\r\n"),
        ("base64", "aGVs\nbG8=\n", b"hello"),
    ],
)
def test_removes_the_transfer_encoding(encoding: str, raw: str, content: bytes) -> None:
    """Otherwise base64 would hide anything from the OpenPGP check, or refuse honest mail."""
    body = crlf(f"--b1\nContent-Transfer-Encoding: {encoding}\n\n{raw}\n--b1--\n")

    assert parts(MIXED, body) == [Part("text/plain", content)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("hello\n--b1\n\nx\n--b1--\n", "before the first"),
        ("--b1\n\nx\n--b1--\nhello\n", "after the last"),
        ("--b1\n\nx\n--b1--\n--b1\n\nhello\n--b1--\n", "after the last"),
        ("--b1\n\nx\n--b1--hello\n", "goes on"),
        ("--b1\n\nx\n--b1x\n\nhello\n--b1--\n", "goes on"),
        ("--b1\n\nx\n", "closing delimiter"),
        ("", "closing delimiter"),
        ("--b1\n\n1\n--b1\n\n2\n--b1\n\n3\n--b1--\n", "more than"),
        ("--b1\nno empty line\n--b1--\n", "empty line"),
        ("--b1\n\n" + "--b1--\n", "empty line"),
        ("--b1\nX-Text: hello\n\nx\n--b1--\n", "other than Content"),
        ("--b1\nhello\n\nx\n--b1--\n", "without a field name"),
        ("--b1\n folded\n\nx\n--b1--\n", "without a field name"),
        ("--b1\nContent-Type: multipart/mixed; boundary=b2\n\nx\n--b1--\n", "composite"),
        ("--b1\nContent-Type: message/rfc822\n\nx\n--b1--\n", "composite"),
        ("--b1\nContent-Transfer-Encoding: x-uuencode\n\nx\n--b1--\n", "Encoding"),
        ("--b1\nContent-Transfer-Encoding: base64\n\nhello you\n--b1--\n", "base64"),
        ("--b1\nContent-Description: " + "x" * 3000 + "\n\nx\n--b1--\n", "too long"),
        ("--b1\n" + "Content-A: b\n" * 17 + "\nx\n--b1--\n", "too many"),
        ("\n" * 600 + "--b1\n\nx\n--b1--\n", "before the first"),
    ],
)
def test_refuses_a_body_with_anything_beside_its_parts(body: str, reason: str) -> None:
    """Every one of these is a place where a sentence can travel in clear."""
    with pytest.raises(StructureError, match=reason):
        parts(MIXED, crlf(body))


@pytest.mark.parametrize("stray", [b"\n", b"\r", b"\n\r"])
def test_refuses_bare_line_ends(stray: bytes) -> None:
    """Where a line ends decides where a part ends."""
    body = crlf("--b1\n\nx") + stray + crlf("y\n--b1--\n")

    with pytest.raises(StructureError, match="bare"):
        parts(MIXED, body)


@pytest.mark.parametrize("boundary", ["", "x" * 71, "b1 ", "b\u00e4", "b1\\\r"])
def test_refuses_a_boundary_outside_the_grammar(boundary: str) -> None:
    """RFC 2046 5.1.1; an empty boundary would make every `--` line a delimiter."""
    with pytest.raises(StructureError):
        parts(ContentType("multipart/mixed", {"boundary": boundary}), b"--\r\n\r\nx\r\n----\r\n")


def test_accepts_white_space_after_a_delimiter() -> None:
    """RFC 2046 5.1.1 transport-padding: some gateways add it."""
    assert parts(MIXED, b"--b1 \r\n\r\nx\r\n--b1-- \t\r\n") == [Part("text/plain", b"x")]


def test_refuses_a_field_that_occurs_twice() -> None:
    """`only_value` is what every decision reads a singular field with."""
    with pytest.raises(StructureError, match="2 times"):
        only_value([(b"A", b" 1"), (b"a", b" 2")], b"a")


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n--b1x" * 3_000_000,
        b"\r\n" * 15_000_000,
        b"--b1\r\n\r\n" + b"\r\n--b" * 5_000_000,
        b"--b1\r\n" + b"Content-A: b\r\n" * 2_000_000,
        b"--b1\r\nContent-Type: text/plain;" + b" " * 30_000_000,
    ],
    ids=["near-delimiters", "empty-lines", "prefixes", "headers", "spaces"],
)
def test_stays_linear_on_bodies_made_to_be_slow(body: bytes) -> None:
    """Thirty megabytes of the worst must cost what reading them costs."""
    begin = time.process_time()
    with pytest.raises(StructureError):
        parts(MIXED, body)

    assert time.process_time() - begin < 2


@given(st.binary(max_size=400))
def test_answers_any_bytes_with_a_verdict(data: bytes) -> None:
    """Whatever a stranger sends, the only exception is the module's own."""
    for step in (
        lambda: content_type([(b"Content-Type", data)]),
        lambda: parts(MIXED, data),
        lambda: parts(MIXED, b"--b1\r\n" + data + b"\r\n--b1--\r\n"),
        lambda: parts(MIXED, b"--b1\r\nContent-Type: a/b;" + data + b"\r\n\r\nx\r\n--b1--"),
    ):
        with contextlib.suppress(StructureError):
            step()


@given(st.text(alphabet="-b1\r\n x:C", max_size=80))
def test_never_loses_text_beside_the_parts(noise: str) -> None:
    """If noise around a good body is accepted at all, it was blank or part of a part."""
    good = crlf(b"--b1\n\n" + armor() + b"\n--b1--\n")
    for body in (noise.encode() + b"\r\n" + good, good + noise.encode()):
        try:
            found = parts(MIXED, body)
        except StructureError:
            continue
        inside = b"".join(part.content for part in found)
        assert noise.strip() == "" or noise.strip().encode() in b"\r\n--b1\r\n" + inside
