"""MIME structure is parsed leniently and in one way."""

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
    whole,
)
from mails import BOUNDARY, crlf, encrypted_body


def parsed(value: str) -> ContentType:
    """Parse a Content-Type field with this value."""
    return content_type([(b"Content-Type", value.encode())])


def text(content: bytes) -> Part:
    """Build a part without a type."""
    return Part("text/plain", content)


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
    """Types and parameter names ignore case, values do not; folds are white space."""
    assert parsed(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        " multipart/encrypted; ; boundary=b1",
        " multipart/encrypted;; boundary=b1;;",
        " multipart/encrypted x; boundary=b1",
        " multipart/encrypted (PGP/MIME); (x) boundary=b1 (\\) ;y)",
        " multipart/encrypted; boundary*0=b; boundary*1=1",
        ' multipart/encrypted; boundary*1*=%31; boundary*0="b"',
        " multipart/encrypted; boundary*=us-ascii''b1",
        " multipart/encrypted; boundary*0*=utf-8'de'b; boundary*1*=%31",
        " multipart/encrypted; name=gr\u00fc\u00dfe.asc; boundary=b1",
        " multipart/encrypted; protocol=; boundary=b1",
        " multipart/encrypted; protocol=application/pgp-encrypted; boundary=b1",
        ' multipart/encrypted; x; y*z*w=1; note="; boundary=b2"; boundary=b1',
        " multipart/encrypted; boundary=b1; boundary=b2",
        " multipart/encrypted; boundary=b1; BOUNDARY=b2",
        ' multipart/encrypted; boundary=b1; name="cut off',
    ],
)
def test_reads_a_boundary_out_of_what_programs_write(value: str) -> None:
    """Empty parameters, comments, RFC 2231 3 and 4, unquoted and 8-bit words; the first counts."""
    assert parsed(value).parameters["boundary"] == "b1"


def test_a_message_without_content_type_is_plain_text() -> None:
    """RFC 2045 5.2."""
    assert content_type([]) == ContentType("text/plain", {})


@pytest.mark.parametrize(
    "value",
    [
        "",
        " multipart",
        " multipart/encr\u00fcpted; boundary=b1",
        " a/b; c=" + "x" * 3000,
    ],
)
def test_refuses_a_content_type_without_a_type(value: str) -> None:
    """Also one that is too long."""
    with pytest.raises(StructureError):
        parsed(value)


def test_refuses_a_second_content_type() -> None:
    """Both would be forwarded, and readers differ in which one they use."""
    with pytest.raises(StructureError, match="2 times"):
        content_type([(b"Content-Type", b" text/plain"), (b"content-type", b" text/html")])


def test_splits_a_multipart_body() -> None:
    """In the form of chat clients, with empty lines around the parts."""
    kind = parsed(f' multipart/encrypted; boundary="{BOUNDARY}"')

    assert parts(kind, crlf(encrypted_body(b"data\n"))) == [
        Part("application/pgp-encrypted", b"Version: 1\r\n"),
        Part("application/octet-stream", b"data\r\n"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        "--b1\n\nx\n--b1--\n",
        "--b1\n\nx\n--b1--",
        "This is a message in MIME format.\n--b1\n\nx\n--b1--\n",
        "--b2\n--b1x\n --b1\n--b1\n\nx\n--b1--\n",
        "--b1\n\nx\n--b1--\n_____\nA list\n",
        "--b1\n\nx\n--b1--\n--b1\n\nhello\n--b1--\n",
        "--b1 \t\n\nx\n--b1-- \n",
        "\n" * 600 + "--b1\n\nx\n--b1--\n",
        "--b1\nMIME-Version: 1.0\nX-Text: hello\nMessage-ID: <a@b>\n\nx\n--b1--\n",
        "--b1\nno field\n folded\n\nx\n--b1--\n",
        "--b1\nContent-Description: " + "x" * 3000 + "\n\nx\n--b1--\n",
        "--b1\n" + "Content-A: b\n" * 100 + "\nx\n--b1--\n",
        "--b1\nContent-Transfer-Encoding: 8bits\n\nx\n--b1--\n",
    ],
)
def test_ignores_text_around_the_parts(body: str) -> None:
    """Most mail programs write text before the first part, and many write fields into parts."""
    for line_end in ("\n", "\r\n", "\r\r\n"):
        (part,) = parts(MIXED, body.replace("\n", line_end).encode())
        assert part.content.strip() == b"x"


@pytest.mark.parametrize("content", ["--b1--x\nx\n", "--b1x\n", "a --b1\n", "--b1 --\n", "-\n"])
def test_a_line_that_only_begins_like_the_boundary_is_text(content: str) -> None:
    """RFC 2046 5.1.1 lets parsers differ; inside armor it is refused there."""
    body = crlf(f"--b1\n\n{content}--b1--\n")

    assert parts(MIXED, body) == [text(crlf(content)[:-2])]


def test_reads_a_message_without_its_last_line() -> None:
    """Some gateways drop the closing delimiter; the armor is checked for completeness."""
    assert parts(MIXED, crlf("--b1\n\n1\n--b1\n\n2\n")) == [text(b"1"), text(b"2\r\n")]


def test_the_first_of_two_fields_counts() -> None:
    """Another parser may use the other one, but neither is forwarded."""
    body = crlf("--b1\nContent-Type: a/b\nContent-Type: c/d\n\nx\n--b1--\n")

    assert parts(MIXED, body) == [Part("a/b", b"x")]


@pytest.mark.parametrize(
    ("encoding", "raw", "content"),
    [
        ("7bit", "a=3D\n", b"a=3D\r\n"),
        ("Quoted-Printable", "a=3Db=\nc\n", b"a=bc\r\n"),
        ("base64", "aGVs\n bG8=\n", b"hello"),
    ],
)
def test_removes_the_transfer_encoding(encoding: str, raw: str, content: bytes) -> None:
    """Otherwise base64 could hide anything from the OpenPGP check, or valid mail would fail."""
    body = crlf(f"--b1\nContent-Transfer-Encoding: {encoding}\n\n{raw}\n--b1--\n")
    headers = [(b"Content-Transfer-Encoding", f" {encoding}".encode())]

    assert parts(MIXED, body) == [text(content)]
    assert whole(headers, crlf(raw)) == text(content)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "parts"),
        ("hello\n", "parts"),
        ("--b1--\n", "parts"),
        ("--b1\n\n1\n" * 4 + "--b1--\n", "parts"),
        ("--b1\n\n1\n" * 5, "parts"),
        ("--b1\nno empty line\n--b1--\n", "empty line"),
        ("--b1\n\n" + "--b1--\n", "empty line"),
        ("--b1\nX: " + "x" * 20_000 + "\n\nx\n--b1--\n", "empty line"),
        ("--b1\nContent-Transfer-Encoding: base64\n\nhello, you\n--b1--\n", "base64"),
    ],
)
def test_refuses_a_body_without_its_parts(body: str, reason: str) -> None:
    """More parts than an encrypted message has are text to be read."""
    with pytest.raises(StructureError, match=reason):
        parts(MIXED, crlf(body))


@pytest.mark.parametrize("boundary", ["", "x" * 201, "b1\r\n", "\n"])
def test_refuses_an_unusable_boundary(boundary: str) -> None:
    """An empty one would make every `--` line a delimiter."""
    with pytest.raises(StructureError, match="usable"):
        parts(ContentType("multipart/mixed", {"boundary": boundary}), b"--\r\n\r\nx\r\n----\r\n")


def test_refuses_a_field_that_occurs_twice() -> None:
    """Every decision reads singular fields with `only_value`."""
    with pytest.raises(StructureError, match="2 times"):
        only_value([(b"A", b" 1"), (b"a", b" 2")], b"a")


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n--b1x" * 3_000_000,
        b"\r\n--b1" * 4_000_000,
        b"\r\n" * 15_000_000,
        b"--b1\r\n\r\n" + b"\r\n--b" * 5_000_000,
        b"--b1\r\n" + b"Content-A: b\r\n" * 2_000_000,
        b"--b1\r\nContent-Type: text/plain;" + b" " * 30_000_000,
        b"--b1\r\n\r\n" + b"--b1" * 7_000_000,
    ],
    ids=["near-delimiters", "parts", "empty-lines", "prefixes", "headers", "spaces", "one-line"],
)
def test_stays_linear_on_bodies_made_to_be_slow(body: bytes) -> None:
    """30 MB of the worst input must cost no more than reading it."""
    begin = time.process_time()
    with contextlib.suppress(StructureError):
        parts(MIXED, body)

    assert time.process_time() - begin < 2


@pytest.mark.parametrize("filler", [";", '"', ';a="', "(", ";a*0=", "\\", ";a=b"])
def test_stays_fast_on_a_content_type_made_to_be_slow(filler: str) -> None:
    """Its length is limited."""
    begin = time.process_time()
    with contextlib.suppress(StructureError):
        parsed(" a/b" + filler * (2000 // len(filler)))

    assert time.process_time() - begin < 0.2


@given(st.binary(max_size=400))
def test_answers_any_bytes_with_a_verdict(data: bytes) -> None:
    """For any input, only the module's own exception is raised."""
    for step in (
        lambda: content_type([(b"Content-Type", data)]),
        lambda: parts(MIXED, data),
        lambda: parts(MIXED, b"--b1\r\n" + data + b"\r\n--b1--\r\n"),
        lambda: parts(MIXED, b"--b1\r\nContent-Type: a/b;" + data + b"\r\n\r\nx\r\n--b1--"),
        lambda: whole([(b"Content-Type", data), (b"Content-Transfer-Encoding", data)], data),
    ):
        with contextlib.suppress(StructureError):
            step()
