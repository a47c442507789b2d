"""Delivered mail has no history and no unauthenticated fields, but all that clients read."""

import pytest

from chatmaild.filter.headers import clean_incoming, lowest
from chatmaild.filter.policy import Kind

from .edits import apply

SURVIVING = [
    b"Message-ID",
    b"Date",
    b"X-Microsoft-Original-Message-ID",
    b"From",
    b"To",
    b"Content-Type",
    b"MIME-Version",
    b"Secure-Join",
    b"Secure-Join-Invitenumber",
    b"Chat-Version",
    b"Chat-Is-Post-Message",
    b"Chat-Group-ID",
    b"Autocrypt",
    b"Autocrypt-Setup-Message",
    b"In-Reply-To",
    b"References",
    b"Reply-To",
    b"Auto-Submitted",
    b"List-ID",
]
TELLING = [
    b"Received",
    b"User-Agent",
    b"X-Mailer",
    b"X-MAILER",
    b"X-Originating-IP",
    b"X-Forwarded-For",
    b"X-Source-IP",
    b"X-PHP-Originating-Script",
    b"DKIM-Signature",
    b"Authentication-Results",
    b"Bcc",
]
HISTORY = [
    b"Received",
    b"DKIM-Signature",
    b"Authentication-Results",
    b"ARC-Seal",
    b"ARC-Message-Signature",
    b"ARC-Authentication-Results",
    b"Received-SPF",
    b"X-Spam-Status",
    b"X-Google-DKIM-Signature",
    b"X-Received",
]


@pytest.mark.parametrize("name", SURVIVING)
def test_keeps_what_clients_read(name: bytes) -> None:
    """Clients fetch these before they download the message."""
    field = (name, b" value")

    assert clean_incoming([field], None, Kind.ENCRYPTED).headers == [field]


@pytest.mark.parametrize("name", [*HISTORY, *TELLING])
def test_an_incoming_message_loses_its_history(name: bytes) -> None:
    """Every mailbox would store it, including what careless relays reveal about their users."""
    assert clean_incoming([(name, b" value")], None, Kind.CLEARTEXT).headers == []


def test_an_incoming_subject_stays() -> None:
    """It is the author's, and newsletters have nothing else."""
    field = (b"Subject", b" news")
    assert clean_incoming([field], None, Kind.CLEARTEXT).headers == [field]


@pytest.mark.parametrize(
    "name",
    [
        b"Autocrypt",
        b"Autocrypt-Gossip",
        b"Secure-Join",
        b"Secure-Join-Fingerprint",
        b"Chat-Group-ID",
        b"Chat-Disposition-Notification-To",
        b"Reply-To",
        b"Sender",
        b"List-Id",
        b"In-Reply-To",
        b"References",
        b"Auto-Submitted",
        b"Precedence",
        b"Ephemeral-Timer",
    ],
)
def test_what_the_author_did_not_sign_is_not_acted_on(name: bytes) -> None:
    """Anyone can add such a field to a signed message and send it again."""
    signed = [(b"From", b" <a@b>"), (name, b" theirs")]
    added = [(name, b" added"), *signed]

    for headers, covered, kept in (
        (signed, {b"from": 1}, signed[:1]),
        (signed, {b"from": 1, name.lower(): 1}, signed),
        (added, {b"from": 1, name.lower(): 1}, signed),
        (added, {b"from": 1}, signed[:1]),
    ):
        edited = clean_incoming(headers, covered, Kind.ENCRYPTED)
        assert edited.headers == kept
        assert apply(headers, edited.edits) == kept


@pytest.mark.parametrize(
    "name",
    [
        b"To",
        b"Subject",
        b"Date",
        b"Message-ID",
        b"MIME-Version",
        b"Content-Type",
        b"Content-Transfer-Encoding",
        b"X-Microsoft-Original-Message-ID",
        b"Chat-Version",
        b"Chat-Is-Post-Message",
    ],
)
def test_what_many_servers_do_not_sign_stays(name: bytes) -> None:
    """OpenDKIM does not sign Message-ID, MIME or chat fields by default."""
    headers = [(b"From", b" <a@b>"), (name, b" value")]

    assert clean_incoming(headers, {b"from": 1}, Kind.CLEARTEXT).headers == headers


@pytest.mark.parametrize("covered", [{b"from": 1}, {b"from": 1, b"mime-version": 1}])
def test_a_second_field_above_the_signed_one_goes(covered: dict[bytes, int]) -> None:
    """Mail with two of them exists, and a client must not use the one that was added."""
    headers = [
        (b"MIME-Version", b" 2.0"),
        (b"To", b" <c@d>"),
        (b"From", b" <a@b>"),
        (b"To", b" <e@f>"),
        (b"Mime-Version", b" 1.0"),
    ]
    edited = clean_incoming(headers, covered, Kind.CLEARTEXT)

    assert edited.headers == headers[2:]
    assert apply(headers, edited.edits) == headers[2:]
    assert lowest(headers) == headers[2:]


def test_a_request_to_join_keeps_its_fields_unsigned() -> None:
    """The signed body says what it is, and relays with OpenDKIM do not sign these fields."""
    headers = [
        (b"From", b" <a@b>"),
        (b"Secure-Join", b" vc-request"),
        (b"Secure-Join-Invitenumber", b" abc"),
        (b"Auto-Submitted", b" auto-generated"),
    ]

    assert clean_incoming(headers, {b"from": 1}, Kind.SECURE_JOIN).headers == headers[:3]
    assert clean_incoming(headers, {b"from": 1}, Kind.REPORT).headers == [headers[0], headers[3]]


def test_a_new_body_removes_the_fields_of_the_old_one() -> None:
    """They describe the encoding of the old one."""
    headers = [
        (b"From", b" <a@b>"),
        (b"Content-Type", b" text/plain"),
        (b"Content-Transfer-Encoding", b" base64"),
        (b"Content-Type", b" multipart/encrypted"),
        (b"Content-Description", b" words"),
    ]
    edited = clean_incoming(headers, None, Kind.ENCRYPTED, content_type=b" new")

    assert edited.headers == [headers[0], (b"Content-Type", b" new")]
    assert apply(headers, edited.edits) == edited.headers
