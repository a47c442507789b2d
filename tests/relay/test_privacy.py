"""Nothing about people: not in what arrives, not in the journal, not on the disk."""

from __future__ import annotations

import json
import re
import secrets
import smtplib
from typing import TYPE_CHECKING

import pytest

from relay import messages
from relay.dialogue import Dialogue, insecure
from relay.people import Person, imap_login, smtp_login
from relay.strangers import port_25

if TYPE_CHECKING:
    from harness.relay import Relay

    from relay.strangers import Stranger

# Nothing else in the lab connects from here.
HOME = "192.0.2.111"
LAPTOP = "annas-laptop.example"
SUBJECT = "Doctor's appointment"

TELLING = (
    f"Received: from {LAPTOP} ([{HOME}]) by mail.example; Sat, 21 Nov 2026 03:00:00 +0000",
    "User-Agent: Mozilla/5.0 (Linux; Android 14) AnnasMail/1.0",
    "X-Mailer: AnnasMail 1.0",
    f"X-Originating-IP: [{HOME}]",
    f"X-Client-IP: {HOME}",
    "Bcc: <hidden@elsewhere.test>",
    f"X-Real-IP: {HOME}",
    "X-Apple-Mail-Remote-Attachments: YES",
    f"Authentication-Results: mail.example; auth=pass iprev=pass policy.iprev={HOME}",
)
TRACES = (HOME, LAPTOP, "AnnasMail", "hidden@elsewhere.test", SUBJECT, "Android")


def submitted(alice: Person, recipient: str) -> bytes:
    """Send, from home, a message whose header tells everything that a header can; the message."""
    message = messages.pgp_mime(
        alice.address,
        recipient,
        messages.armor_for(alice.address, recipient),
        subject=SUBJECT,
        fields=TELLING,
    )
    with alice.smtp(source=HOME, name=LAPTOP) as session:
        session.sendmail(alice.address, [recipient], message)
    return message


def test_what_arrives_tells_nothing_of_where_it_was_written(alice: Person, bob: Person) -> None:
    """Whoever sees the mailbox learns neither place nor program nor the Subject's words."""
    arrived = bob.wait_for(submitted(alice, bob.address))

    assert not [trace for trace in TRACES if trace.encode() in arrived]
    assert messages.header(arrived, "Subject") == ["[...]"]


def test_the_only_received_field_names_the_relay(alice: Person, bob: Person) -> None:
    """Loops are found by it, so there is one, and it says nothing of the client or of TLS."""
    arrived = bob.wait_for(submitted(alice, bob.address))

    fields = messages.header(arrived, "Received")
    assert len(fields) == 1
    assert re.fullmatch(
        rf"by {re.escape(alice.relay.domain)} \(Postfix\) id \w+"
        rf"\s+for <{re.escape(bob.address)}>; \w{{3}}, [^;]+ \+0000 \(UTC\)",
        fields[0],
    )


def test_the_header_holds_nothing_unforeseen(alice: Person, bob: Person) -> None:
    """A field nobody thought of is a field that nobody looked at."""
    arrived = bob.wait_for(submitted(alice, bob.address))

    head = arrived.partition(b"\r\n\r\n")[0].decode()
    names = {found.lower() for found in re.findall(r"^([\w-]+):", head, re.MULTILINE)}
    assert names == {
        "return-path",
        "delivered-to",
        "received",
        "dkim-signature",
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "chat-version",
        "mime-version",
        "content-type",
    }


def test_the_servers_on_the_way_are_forgotten(bob: Person, stranger: Stranger) -> None:
    """What its sender's server wrote down of the sender is of no use to a reader."""
    author = stranger.address()
    armor = messages.armor_for(author, bob.address)
    message = messages.pgp_mime(author, bob.address, armor, fields=(TELLING[0], TELLING[-1]))
    with port_25(bob.relay, source=HOME) as session:
        session.sendmail(author, [bob.address], stranger.signed(message))

    arrived = bob.wait_for(message)

    assert HOME.encode() not in messages.body(arrived)
    assert LAPTOP not in " ".join(messages.header(arrived, "Received"))
    assert not messages.header(arrived, "Authentication-Results")
    assert not messages.header(arrived, "X-Spam-Status")


def test_a_bounce_tells_no_address_of_the_client(alice: Person) -> None:
    """The report repeats the header of the message that did not arrive."""
    nobody, _ = alice.relay.credentials()
    submitted(alice, nobody)

    bounce = alice.wait_for_any()

    assert not [trace for trace in TRACES if trace.encode() in bounce]


@pytest.fixture
def traces(relay: Relay, stranger: Stranger) -> dict[str, str]:
    """Do everything that people do and get wrong, and say what to look for afterwards."""
    alice, bob = (Person(relay, *relay.credentials()) for _ in range(2))
    nobody, _ = relay.credentials()
    token = f"openpgp:{secrets.token_hex(16)}"
    for person in (alice, bob):
        with Dialogue.connect(relay.address, 993, insecure(), source=HOME) as imap:
            imap.line()
            imap.answer(f'LOGIN "{person.address}" "{person.password}"')
            imap.answer(f'SETMETADATA INBOX (/private/devicetoken "{token}")')
    bob.wait_for(submitted(alice, bob.address))
    submitted(alice, nobody)
    alice.wait_for_any()
    refused = messages.cleartext(alice.address, bob.address)
    with alice.smtp(source=HOME, name=LAPTOP) as session, pytest.raises(smtplib.SMTPDataError):
        session.sendmail(alice.address, [bob.address], refused)
    wrong = secrets.token_urlsafe(16)
    assert imap_login(relay, alice.address, wrong)
    assert smtp_login(relay, alice.address, wrong)
    with port_25(relay, source=HOME) as session:
        author = stranger.address("marie")
        letter = messages.compose(author, bob.address, messages.PHRASE, subject=SUBJECT)
        session.sendmail(author, [bob.address], stranger.signed(letter))
        bob.wait_for(letter)
        for sender, recipient in ((author, "far@elsewhere.test"), (alice.address, bob.address)):
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                session.sendmail(sender, [recipient], letter)
    # Half a handshake, half a command, a line of rubbish.
    for port in (25, 143, 587, 993, 465, 443, 80):
        Dialogue.connect(relay.address, port, source=HOME).say(f"HELP {alice.address}").close()
    return {
        "client address": HOME,
        "client name": LAPTOP,
        "sender": alice.address,
        "recipient": bob.address,
        "name of the sender": alice.address.partition("@")[0],
        "name of nobody": nobody.partition("@")[0],
        "stranger": author,
        "password": alice.password,
        "wrong password": wrong,
        "subject": SUBJECT,
        "text": messages.PHRASE,
        "token": token,
        "foreign recipient": "far@elsewhere.test",
    }


def test_the_journal_names_nobody(relay: Relay, traces: dict[str, str]) -> None:
    """What is not written down cannot be asked for."""
    relay.machine.run(["journalctl", "--sync"])
    journal = relay.machine.run(["journalctl", "--output=json", "--all", "--no-pager"]).out
    told = [
        f"{what}: {entry.get('SYSLOG_IDENTIFIER')}: {entry.get('MESSAGE')}"
        for entry in map(json.loads, journal.splitlines())
        for what, trace in traces.items()
        if trace in str(entry.get("MESSAGE"))
    ]

    assert "Logged in" in journal
    assert told == []


def test_the_disk_keeps_nothing_of_where_from(relay: Relay, traces: dict[str, str]) -> None:
    """Whoever takes the machine away does not learn who connected from where."""
    for what in ("client address", "client name", "password", "wrong password"):
        found = relay.machine.run(
            ["grep", "-rlaF", "-e", traces[what], "/var", "/etc", "/tmp", "/run", "/root", "/srv"],
            check=False,
        )
        # 1: looked everywhere and found nothing; 2: nothing found, and some sockets cannot be read.
        assert (what, found.out) == (what, "")
        assert found.status in (1, 2)


def test_nothing_stays_in_the_queue(relay: Relay, traces: dict[str, str]) -> None:
    """What was refused or delivered is gone."""
    queue = relay.machine.run(["postqueue", "-j"]).out

    assert not [what for what, trace in traces.items() if trace in queue]
