"""What leaves tells nothing of its client, what arrives carries no history, the rest survives."""

import pytest

from chatmaild.filter.headers import Edit, clean_incoming, clean_submission
from mails import encrypted, split

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
    """Clients fetch these before they download anything."""
    field = (name, b" value")

    assert clean_submission([field]).headers == [field]
    assert clean_incoming([field]).headers == [field]


@pytest.mark.parametrize("name", TELLING)
def test_a_submission_loses_what_tells_of_its_client(name: bytes) -> None:
    """Address, program and host of a sender are nobody's business."""
    edited = clean_submission([(name, b" value")])

    assert edited.headers == []
    assert edited.edits == [Edit(name, 1, None)]


@pytest.mark.parametrize("name", [*HISTORY, *TELLING])
def test_an_incoming_message_loses_its_history(name: bytes) -> None:
    """Every mailbox would store it, and a careless relay's word of where its people are."""
    assert clean_incoming([(name, b" value")]).headers == []


def test_a_submission_shows_no_subject() -> None:
    """The real one is inside the encrypted part; a second one would be shown as well."""
    edited = clean_submission([(b"Subject", b" secret"), (b"A", b" 1"), (b"SUBJECT", b" too")])

    assert edited.headers == [(b"Subject", b" [...]"), (b"A", b" 1")]
    assert edited.edits == [Edit(b"SUBJECT", 2, None), Edit(b"Subject", 1, b" [...]")]


def test_a_subject_that_shows_nothing_needs_no_edit() -> None:
    """Chat clients write it themselves; an edit costs Postfix and the filter a round of work."""
    edited = clean_submission([(b"Subject", b" [...]"), (b"subject", b" [...]")])

    assert edited.headers == [(b"Subject", b" [...]")]
    assert edited.edits == [Edit(b"subject", 2, None)]


def test_an_incoming_subject_stays() -> None:
    """It belongs to whoever wrote it, and newsletters have nothing else."""
    assert clean_incoming([(b"Subject", b" news")]).headers == [(b"Subject", b" news")]


def test_a_message_without_subject_gets_none() -> None:
    """An added field would say nothing."""
    assert clean_submission([(b"From", b" a@b")]).edits == []


def test_equal_fields_are_deleted_from_the_last() -> None:
    """Postfix renumbers after a deletion, so ascending order would leave every second one."""
    edited = clean_submission([(b"User-Agent", b" One"), (b"user-agent", b" Two")])

    assert [edit.index for edit in edited.edits] == [2, 1]


def test_the_edits_give_the_edited_header() -> None:
    """Applied one by one, as Postfix does, they lead to exactly what is signed."""
    headers, _ = split(
        encrypted(extra="Received: a\nX-Mailer: b\nReceived: c\nSubject: d\nReceived: e\n")
    )
    edited = clean_submission(headers)
    result = list(headers)
    for edit in edited.edits:
        at = [i for i, (name, _) in enumerate(result) if name.lower() == edit.name.lower()]
        position = at[edit.index - 1]
        if edit.value is None:
            del result[position]
        else:
            result[position] = (result[position][0], edit.value)

    assert result == edited.headers
    assert len(result) == len(headers) - 5
