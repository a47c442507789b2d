"""Delivered mail contains no personal data; test_traces.py is about data on the machine."""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import TYPE_CHECKING

import dkim

from people import messages
from people.busy_minute import DESK, HOME, OFFICE, TELLING, TRACES, submitted
from people.people import Person
from people.strangers import port_25, txt_record

if TYPE_CHECKING:
    from harness.relay import Relay
    from harness.stranger import MailServer
    from people.strangers import Stranger


def test_delivered_mail_does_not_reveal_its_origin(alice: Person, bob: Person) -> None:
    """It shows neither place nor program nor subject."""
    arrived = bob.wait_for(submitted(alice, bob.address))

    assert not [trace for trace in TRACES if trace.encode() in arrived]
    assert messages.header(arrived, "Subject") == ["[...]"]


def test_the_header_has_only_known_fields(alice: Person, bob: Person) -> None:
    """Unknown fields might contain personal data."""
    arrived = bob.wait_for(submitted(alice, bob.address))

    head = arrived.partition(b"\r\n\r\n")[0].decode()
    names = {found.lower() for found in re.findall(r"^([\w-]+):", head, re.MULTILINE)}
    assert names == {
        "return-path",
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "chat-version",
        "mime-version",
        "content-type",
    }


def test_traces_of_other_servers_are_removed(bob: Person, stranger: Stranger) -> None:
    """Readers do not need what the sender's server recorded about the sender."""
    author = stranger.address()
    armor = messages.armor_for(author, bob.address)
    message = messages.pgp_mime(author, bob.address, armor, fields=(TELLING[0], TELLING[-1]))
    with port_25(bob.relay, source=HOME) as session:
        session.sendmail(author, [bob.address], stranger.signed(message))

    arrived = bob.wait_for(message)

    assert HOME.encode() not in arrived
    assert OFFICE.encode() not in arrived
    assert DESK.encode() not in arrived
    assert not messages.header(arrived, "Received")
    assert not messages.header(arrived, "Authentication-Results")
    assert not messages.header(arrived, "X-Spam-Status")


def test_a_bounce_contains_no_client_address(alice: Person) -> None:
    """It repeats the header of the message that did not arrive."""
    nobody, _ = alice.relay.credentials()
    submitted(alice, nobody)

    bounce = alice.wait_for_any()

    assert not [trace for trace in TRACES if trace.encode() in bounce]


WORDS = "the_quick_brown_fox_tells_a_secret"
CARRIERS = (
    f"X-Anything: {WORDS}",
    *(f"X-Long-{n}: {WORDS} {'x' * 800}" for n in range(400)),
    f"X-{WORDS}: 1",
    f"Comments: {WORDS}",
    f"Keywords: {WORDS}",
    f"Thread-Topic: {WORDS}",
    f"Content-Description: {WORDS}",
    f'Content-Disposition: inline; filename="{WORDS}"',
    f"Content-Words: {WORDS}",
    f"List-Id: {WORDS} <a.b>",
    f"Received: from {WORDS} by there; Sun, 15 Oct 2023 16:43:21 +0000",
    f"Resent-From: {WORDS} <a@b>",
    f"Reply-To: {WORDS} <a@b.example>",
    f"Sender: {WORDS} <a@b.example>",
    f"Cc: {WORDS} <carol@other.example> ({WORDS}), {WORDS}",
    f"References: <{WORDS}@b>",
    f"In-Reply-To: {WORDS} <a@b>",
    f"Auto-Submitted: auto-replied; reason={WORDS}",
    f"Chat-Group-Name: {WORDS}",
    f"Autocrypt: addr={{sender}}; _note={WORDS}; keydata={WORDS}",
    f"Secure-Join: {WORDS}",
    f"DKIM-Signature: v=1; note={WORDS}",
    f"sUbJeCt: {WORDS}",
    f"tO: {WORDS} <a@b.example>",
)


def full_of_words(sender: str, recipient: str) -> bytes:
    """Build encrypted mail with words in every place of its header that a client controls."""
    message = messages.encrypted(sender, recipient)
    fields = {
        "From": f'"{WORDS}" <{sender}> ({WORDS})',
        "To": f"{WORDS}, {WORDS} <{recipient}>, {WORDS}: ({WORDS});",
        "Date": f"{formatdate()} ({WORDS})",
        "MIME-Version": f"1.0 ({WORDS})",
        "Chat-Version": WORDS,
        "Content-Type": messages.ENCRYPTED_TYPE.replace("; ", f'; x="{WORDS}"; ', 1),
    }
    head, _, body = message.decode().partition("\r\n\r\n")
    lines = [
        f"{name}: {fields.get(name, value)}"
        for name, _, value in (line.partition(": ") for line in head.split("\r\n"))
    ]
    extra = [line.format(sender=sender) for line in CARRIERS]
    first = f"From {WORDS} Sun Oct 15 16:43:21 2023"
    return "\r\n".join([first, *extra, *lines, "", body]).encode()


def test_nothing_readable_leaves_beside_the_ciphertext(
    public_relay: Relay, classic: MailServer
) -> None:
    """A stranger's server gets addresses, a date and an identifier, but no words."""
    alice, bob = Person.on(public_relay), Person.on(public_relay)
    there = f"someone@{classic.domain}"
    message = full_of_words(alice.address, there)
    assert message.count(WORDS.encode()) > 430
    alice.send(message, there, bob.address)

    seen, kept = classic.wait_for(messages.id_of(message)), bob.wait_for(message)
    assert WORDS.encode() not in seen
    assert WORDS.encode() not in kept
    assert dkim.verify(seen, dnsfunc=txt_record)
    # The fields above are by the receiving server.
    head = seen.partition(b"\r\n\r\n")[0].decode().partition("\r\nDKIM-Signature:")[2]
    ours = [line.partition(": ") for line in re.split(r"\r\n(?![ \t])", head)[1:]]
    fields = {name: value for name, _, value in ours}
    assert len(fields) == len(ours)
    received = fields.pop("Received")
    date = fields.pop("Date")
    kind = fields.pop("Content-Type")
    assert re.fullmatch(
        rf"by {public_relay.domain} \(Postfix\) id \w+;?\s+\w{{3}}, [^;]+ \+0000 \(UTC\)", received
    )
    assert re.fullmatch(r"\w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d \+0000", date)
    assert re.fullmatch(
        r'multipart/encrypted; protocol="application/pgp-encrypted";\s+boundary="\w+"', kind
    )
    assert fields == {
        "From": f"<{alice.address}>",
        "Message-ID": messages.id_of(message),
        "MIME-Version": "1.0",
        "To": f"<{there}>",
        "Cc": "<carol@other.example>",
        "Subject": "[...]",
        "Auto-Submitted": "auto-replied",
    }
