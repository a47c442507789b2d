"""A submission leaves with the fields of a table, each in one form; core's need no edit."""

import base64
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.filter.headers import Edit, Edited
from chatmaild.filter.policy import Kind
from chatmaild.filter.submitted import FieldError, clean_submission
from chatmaild.message.addresses import parse_path
from mails import ALICE, Header, packet

from .edits import apply

AUTHOR = parse_path(ALICE)
NOW = 1_700_000_000.0
TYPE = (
    b' multipart/encrypted; protocol="application/pgp-encrypted"; \r\n'
    b'\tboundary="18ed0a57dd0aa077_23b49acfc0c5d81_c29bff5cccaa3abc"'
)
VALUES = {
    b"From": b" <alice@chat.example.org>",
    b"Date": b" Sat, 28 Nov 2026 00:09:07 +0000",
    b"Message-ID": b" <c2b6497f-e5e8-435c-9768-7312b47672c9@localhost>",
    b"MIME-Version": b" 1.0",
    b"To": b' "hidden-recipients": ;',
    b"Subject": b" [...]",
    b"Chat-Version": b" 1.0",
    b"Chat-Is-Post-Message": b" 1",
    b"In-Reply-To": b" <be7b0fa0-6b6e-46d5-a710-653c0ea73880@localhost>",
    b"References": b" <be7b0fa0-6b6e-46d5-a710-653c0ea73880@localhost>",
    b"Auto-Submitted": b" auto-replied",
    b"Content-Type": TYPE,
}


def header(names: str, **values: bytes) -> list[Header]:
    """Build a header of these fields, in this order."""
    given_values = {name.replace("_", "-").encode(): value for name, value in values.items()}
    return [(name, (VALUES | given_values)[name]) for name in names.encode().split()]


def clean(headers: list[Header], kind: Kind = Kind.ENCRYPTED) -> Edited:
    """Clean a header, and check that the edits lead to the stated result."""
    edited = clean_submission(headers, AUTHOR, kind, now=NOW)
    assert apply(headers, edited.edits) == edited.headers
    return edited


def left(name: str, value: bytes, kind: Kind = Kind.ENCRYPTED) -> bytes | None:
    """Return what is left of one field; None for nothing."""
    edited = clean([(b"From", VALUES[b"From"]), (name.encode(), value)], kind)
    assert edited.headers[0] == (b"From", VALUES[b"From"])
    return edited.headers[1][1] if len(edited.headers) > 1 else None


@pytest.mark.parametrize(
    "names",
    [
        "From Date Message-ID MIME-Version To Subject Content-Type",  # core 2.65
        "From Date Message-ID MIME-Version To Subject Chat-Is-Post-Message Content-Type",
        "From Date Message-ID MIME-Version To Subject Chat-Version Content-Type",  # 2.59
        "Content-Type MIME-Version From To Subject Date Message-ID Chat-Version",  # 2.50
        "Content-Type MIME-Version From To Subject Date Message-ID In-Reply-To Chat-Version",
        "Content-Type MIME-Version From To Subject Date Message-ID Auto-Submitted Chat-Version",
    ],
)
def test_what_core_writes_needs_no_edit(names: str) -> None:
    """Each edit costs Postfix and the filter some work per message."""
    headers = header(names)

    assert clean(headers) == Edited(headers, [])


@pytest.mark.parametrize(
    "to",
    [
        b" <bob@other.example>",
        b" <bob@other.example>, \r\n\t<carol@[192.0.2.7]>, <dave@_x.example>",
        b" <bob@other.example>,\r\n <carol@chat.example.org>",
    ],
)
def test_what_core_wrote_before_needs_one(to: bytes) -> None:
    """Up to 2.49 it had References, which is also in the encrypted part."""
    names = (
        "Content-Type MIME-Version From To Subject Date Message-ID In-Reply-To References"
        " Chat-Version"
    )
    edited = clean(header(names, To=to))

    assert edited.edits == [Edit(b"References", 1, None)]


def test_a_header_of_another_shape_is_rewritten() -> None:
    """Letter case, order and repetition of fields could carry a message."""
    usual = "From Date Message-ID MIME-Version To Subject Chat-Version Content-Type"
    wanted = header(usual)
    odd = [(name.swapcase(), value) for name, value in wanted]

    for headers in (
        odd,
        wanted[::-1],
        [(b"Subject", b" first"), *wanted],
        [*wanted[:3], (b"Received", b" from here"), *wanted[3:], (b"X-Mailer", b" Words")] * 2,
    ):
        assert clean(headers).headers == wanted


@pytest.mark.parametrize(
    "name",
    [
        "Received",
        "User-Agent",
        "X-Mailer",
        "X-Mailbox-Line",
        "X-Originating-IP",
        "Comments",
        "Keywords",
        "Thread-Topic",
        "Reply-To",
        "Sender",
        "Bcc",
        "Return-Path",
        "References",
        "List-Id",
        "Content-Description",
        "Content-Disposition",
        "Chat-Group-Name",
        "Chat-User-Avatar",
        "Autocrypt-Gossip",
        "Autocrypt-Setup-Message",
        "Secure-Join",
        "Secure-Join-Invitenumber",
        "Disposition-Notification-To",
        "Ephemeral-Timer",
        "DKIM-Signature",
    ],
)
def test_an_unneeded_field_does_not_leave(name: str) -> None:
    """Chat clients have it in the encrypted part if they need it."""
    assert left(name, b" v1") is None


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("Subject", b" a telling subject", b" [...]"),
        ("MIME-Version", b" 1.0 (words)", b" 1.0"),
        ("Chat-Version", b" 1.0 words", None),
        ("Chat-Version", b" 12.34", b" 12.34"),
        ("Chat-Is-Post-Message", b" words", b" 1"),
        ("Auto-Submitted", b"\tAuto-Replied; owner-email=words", b" auto-replied"),
        ("Auto-Submitted", b" no", None),
        ("Auto-Submitted", b" auto-generatedwords", None),
        ("To", b" Bob <bob@other.example>", b" <bob@other.example>"),
        ("To", b" bob@Other.Example (words)", b" <bob@other.example>"),
        (
            "To",
            b' words: "a, b" <a@b.example>,\r\n words, c@d.example; words',
            b" <a@b.example>,\r\n\t<c@d.example>",
        ),
        ("To", b" undisclosed-recipients:;", b' "hidden-recipients": ;'),
        ("To", b" words and more words", b' "hidden-recipients": ;'),
        ("To", b" (words", b' "hidden-recipients": ;'),
        ("To", b" <words at a.example>, <a@b.example> words", b' "hidden-recipients": ;'),
        ("To", b" <@words.example:a@b.example>", b' "hidden-recipients": ;'),
        ("To", b" <a@b.example>,\r\n   <a@b.example>", b" <a@b.example>"),
        ("Cc", b" Bob <bob@other.example>", b" <bob@other.example>"),
        ("Cc", b" words", None),
        ("In-Reply-To", b" <a@b> <c@d>", b" <a@b>"),
        ("In-Reply-To", b" Your message of today <a@b>", None),
        ("In-Reply-To", b" <" + b"a" * 200 + b"@b>", None),
        ("Message-ID", b"\r\n <a.b@c>", b" <a.b@c>"),
        ("Content-Transfer-Encoding", b" 8BIT", b" 8bit"),
        ("Content-Transfer-Encoding", b" words", None),
        (
            "Content-Type",
            b' Multipart/Encrypted; x="words"; boundary=abc (words)'.replace(b" (words)", b""),
            b' multipart/encrypted; protocol="application/pgp-encrypted";\r\n\tboundary="abc"',
        ),
    ],
)
def test_a_value_leaves_in_canonical_form(name: str, value: bytes, wanted: bytes | None) -> None:
    """Names, comments, parameters, folds and anything between addresses are removed."""
    assert left(name, value) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b" Sat, 28 Nov 2026 00:09:07 +0000", b" Sat, 28 Nov 2026 00:09:07 +0000"),
        (b" Tue, 1 Dec 2026 05:34:40 +0000", b" Tue, 1 Dec 2026 05:34:40 +0000"),
        (b" Tue, 01 Dec 2026 05:34:40 +0000", b" Tue, 1 Dec 2026 05:34:40 +0000"),
        (b" Tue,  1 Dec 2026 07:34:40 +0200 (words)", b" Tue, 1 Dec 2026 05:34:40 +0000"),
        (b" 1 Dec 26 05:34 GMT", b" Tue, 1 Dec 2026 05:34:00 +0000"),
        (b" Fri, 28 Nov 2026 00:09:07 +0000", b" Sat, 28 Nov 2026 00:09:07 +0000"),
        (b" Sat, 31 Feb 2026 00:09:07 +0000", b" Tue, 14 Nov 2023 22:13:20 +0000"),
        (b" words", b" Tue, 14 Nov 2023 22:13:20 +0000"),
        (b" " + b"1" * 5000, b" Tue, 14 Nov 2023 22:13:20 +0000"),
        (b" Fri, 31 Dec 9999 23:59:59 -2359", b" Tue, 14 Nov 2023 22:13:20 +0000"),
    ],
)
def test_a_date_is_a_date(value: bytes, wanted: bytes) -> None:
    """It is in UTC, because a time zone reveals where the user is, and has no comment."""
    assert left("Date", value) == wanted


@pytest.mark.parametrize(
    "value",
    [
        b" words",
        b" <words here@b>",
        b" <a@b> words",
        b" <a@b> (words)",
        b" <" + b"a" * 200 + b"@b>",
        b' <"words"@b>',
        b" <a>",
        b"",
    ],
)
def test_a_message_id_is_an_identifier_or_refused(value: bytes) -> None:
    """It cannot be replaced, because clients find sent messages by it. The reply says why."""
    with pytest.raises(FieldError, match="Message-ID is not <name@place> of at most 160 octets"):
        left("Message-ID", value)


def test_a_long_domain_of_the_author_may_be_in_a_message_id() -> None:
    """Core put the author's domain there before 2024."""
    author = parse_path("alice@" + ".".join(["label" * 10] * 4))
    value = f" <Mr.abcdefghijk.{'c' * 60}@{author.domain}>".encode()
    headers = [(b"From", f" <{author}>".encode()), (b"Message-ID", value)]

    assert clean_submission(headers, author, Kind.ENCRYPTED, now=NOW) == Edited(headers, [])


def test_a_new_body_removes_the_fields_of_the_old_one() -> None:
    """They describe the encoding of the old one."""
    headers = [
        *header("From Date Message-ID"),
        (b"Content-Description", b" words"),
        (b"Content-Transfer-Encoding", b" 8bit"),
        *header("Content-Type"),
    ]
    for one in (headers, headers[::-1]):
        edited = clean_submission(one, AUTHOR, Kind.ENCRYPTED, content_type=b" new", now=NOW)

        assert edited.headers == [*header("From Date Message-ID"), (b"Content-Type", b" new")]
        assert apply(one, edited.edits) == edited.headers


def test_a_request_to_join_keeps_what_it_needs() -> None:
    """The step, the number of the invite, and the key to which the answer is encrypted."""
    assert left("Secure-Join", b" vc-request", Kind.SECURE_JOIN) == b" vc-request"
    assert left("Secure-Join", b"  vg-request ", Kind.SECURE_JOIN) == b" vg-request"
    assert left("Secure-Join", b" words", Kind.SECURE_JOIN) is None
    for number in (b"HrbIJRHYHkj", b"xmA90Hegr6pUJwbSnJm1zpoI", b"x" * 32):
        assert left("Secure-Join-Invitenumber", b" " + number, Kind.SECURE_JOIN) == b" " + number
    for number in (b"words and words", b"x" * 33, b"words."):
        assert left("Secure-Join-Invitenumber", b" " + number, Kind.SECURE_JOIN) is None


KEY = (
    packet(6, b"\x04" + b"k" * 50)
    + packet(13, b"<alice@chat.example.org>")
    + packet(2, b"\x04" + b"s" * 100)
    + packet(14, b"\x04" + b"k" * 55)
    + packet(2, b"\x04" + b"s" * 100)
)


def autocrypt(key: bytes = KEY, start: bytes = b" addr=alice@chat.example.org;") -> bytes:
    """Return a field value as core 2.24 writes it."""
    data = base64.b64encode(key)
    folded = b"\r\n ".join(data[at : at + 78] for at in range(0, len(data), 78))
    return start + b" prefer-encrypt=mutual; keydata=" + folded


def test_a_key_leaves_in_one_form() -> None:
    """Only with the key can the answer to a request be encrypted."""
    wanted = left("Autocrypt", autocrypt())
    assert wanted is not None
    lines = wanted.split(b"\r\n\t")
    assert lines[0] == b" addr=alice@chat.example.org; prefer-encrypt=mutual; keydata="
    assert base64.b64decode(b"".join(lines[1:])) == KEY
    assert left("Autocrypt", wanted) == wanted
    assert left("Autocrypt", autocrypt(start=b" _words=words; addr=ALICE@chat.example.org;"))
    assert left("Autocrypt", b" addr=alice@chat.example.org; keydata=" + base64.b64encode(KEY))


@pytest.mark.parametrize(
    "value",
    [
        autocrypt(start=b" addr=bob@other.example;"),
        autocrypt(start=b" "),
        autocrypt(start=b" words; addr=alice@chat.example.org;"),
        autocrypt(start=b" addr=alice@chat.example.org; addr=alice@chat.example.org;"),
        autocrypt(b""),
        autocrypt(b"words in the clear, as they are"),
        autocrypt(KEY + b"words"),
        autocrypt(KEY[:-1]),
        autocrypt(KEY + KEY),
        autocrypt(KEY[57:]),
        autocrypt(KEY + packet(11, b"words")),
        autocrypt(KEY + packet(13, b"words")),
        autocrypt(packet(6, b"words of all kinds")),
        autocrypt(packet(6, b"\x04k") + packet(13, b"w" * 300)),
        autocrypt(packet(6, b"\x04" + b"k" * 17_000)),
        autocrypt(b"\xc6\xe0\x04\x01k"),
        b" addr=alice@chat.example.org; keydata=!!!!",
        b" addr=alice@chat.example.org; keydata=",
        b" words",
    ],
)
def test_what_is_not_the_authors_key_does_not_leave_as_one(value: bytes) -> None:
    """Any octets can be written in base64."""
    assert left("Autocrypt", value) is None


def test_keys_of_every_version_and_format_leave() -> None:
    """Old packets (RFC 9580 4.2.2) by GnuPG, keys of version 6, keys without a user ID."""
    old = b"\x98\x05\x04kkkk" + b"\xb4\x05alice" + b"\x89\x00\x05\x04ssss"
    for key in (old, packet(6, b"\x06" + b"k" * 42) + packet(2, b"\x06" + b"s" * 50)):
        assert left("Autocrypt", autocrypt(key))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*VALUES, b"Autocrypt", b"Cc", b"X-Any", b"message-id", b"DATE"]),
            st.binary(max_size=60).map(lambda value: value.translate(None, b"\0\r\n")),
        ),
        max_size=8,
    )
)
def test_a_cleaned_header_needs_no_further_edit(headers: Iterable[Header]) -> None:
    """For any input."""
    author = [(b"From", VALUES[b"From"])]
    try:
        once = clean([*author, *(one for one in headers if one[0] != b"From")])
    except FieldError:
        return
    again = clean(once.headers)

    assert again.headers == once.headers
    assert again.edits == []


@pytest.mark.parametrize("value", [b"(" * 90_000, b"<a@" * 30_000, b"a@b," * 25_000, b'"' * 90_000])
def test_stays_linear_on_recipients_made_to_be_slow(value: bytes) -> None:
    """A field can have 100 KB."""
    begin = time.process_time()
    left("To", b" " + value)

    assert time.process_time() - begin < 2
