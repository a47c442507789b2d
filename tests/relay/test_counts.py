"""Limits on messages and folders, because even tiny ones take blocks and inodes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness.process import wait_until
from people import mailboxes, messages
from people.imap import logged_in
from people.people import Person

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.lab import Lab
    from harness.relay import Relay
    from people.dialogue import Dialogue

LIMIT = 1024
TINY = b"From: a\r\n"


@pytest.fixture(scope="session")
def counting_relay(lab: Lab) -> Relay:
    """A relay with few messages per mailbox and no tight sending limit."""
    relay = lab.relay(
        "_counting.test",
        {
            "mailbox": {"maxSize": LIMIT * 8192},
            "message": {"maxSize": "1M"},
            "sending": {"perMinute": 100000, "burst": 100000},
        },
    )
    assert relay.value.daemons["mailbox"]["maxMessages"] == LIMIT
    return relay


def append(imap: Dialogue, texts: Iterable[bytes], folder: str = "INBOX") -> str:
    """Append all of these in one command (RFC 3502); return the tagged answer."""
    parts = b"".join(b" {%d+}\r\n%s" % (len(text), text) for text in texts)
    imap.send(b"t APPEND %s%s\r\n" % (folder.encode(), parts))
    return imap.until("t")[-1]


def counted(imap: Dialogue) -> int:
    """Query the number of messages in all folders (RFC 9208 5.2)."""
    answer = " ".join(imap.answer("GETQUOTAROOT INBOX"))
    found = re.search(rf"\(STORAGE \d+ {LIMIT * 8} MESSAGE (\d+) {LIMIT}\)", answer)
    assert found, imap.unexpected("wanted both resources")
    return int(found[1])


def test_small_messages_displace_the_oldest(counting_relay: Relay) -> None:
    """A mailbox far below its size limit still accepts mail, and never has too many messages."""
    alice, bob = Person.on(counting_relay), Person.on(counting_relay)
    with logged_in(bob) as imap:
        assert append(imap, [TINY] * (LIMIT * 7 // 10)).startswith("t OK")
    sent = []
    with alice.smtp() as session:
        for _ in range(LIMIT // 8):
            message = messages.encrypted(alice.address, bob.address)
            session.sendmail(alice.address, bob.address, message)
            sent.append(messages.id_of(message))
    bob.wait_for(sent[-1])
    counting_relay.machine.wait_until("! postqueue -j | grep -q .", timeout=30)

    with bob.mailbox() as box:
        headers = [mail.headers for mail in box.fetch(headers_only=True)]
    kept = {found for header in headers for found in header.get("message-id", ())}
    assert set(sent) <= kept
    assert LIMIT * 0.65 < len(mailboxes.files(counting_relay, bob.address)) < LIMIT * 0.8
    assert not alice.inbox()


def test_uploads_displace_the_oldest(counting_relay: Relay) -> None:
    """9,500 messages of 9 octets took 41 MB of the disk in 21 s, and counted as 84 KB."""
    bob = Person.on(counting_relay)
    with logged_in(bob) as imap:
        imap.answer("CREATE Archive")
        for folder in ("INBOX", "Archive"):
            assert append(imap, [TINY] * (LIMIT * 2 // 5), folder).startswith("t OK")

        wait_until(
            lambda: len(mailboxes.files(counting_relay, bob.address)) <= LIMIT * 7 // 10,
            "room is made",
            timeout=20,
        )
        assert counted(imap) <= LIMIT * 7 // 10


def test_a_client_cannot_upload_more_than_the_limit(counting_relay: Relay) -> None:
    """One command or many make no difference, and mail from others still finds room."""
    alice, bob = Person.on(counting_relay), Person.on(counting_relay)
    with logged_in(bob) as imap:
        refused = append(imap, [TINY] * (LIMIT + 1))
        assert refused.startswith("t NO [OVERQUOTA] "), imap.unexpected("wanted a refusal")
        assert counted(imap) == 0
    assert not mailboxes.files(counting_relay, bob.address)

    message = messages.encrypted(alice.address, bob.address)
    alice.send(message, bob.address)
    bob.wait_for(message)


def test_the_number_of_folders_is_limited(counting_relay: Relay) -> None:
    """One account created 2,000 folders in 5 s, each with its own directories and indexes."""
    alice, bob = Person.on(counting_relay), Person.on(counting_relay)
    with logged_in(bob) as imap:
        said = [imap.answer(f"CREATE f{number}/g/h")[-1] for number in range(250)]
        made = [line for line in said if line.startswith("a OK")]
        assert len(made) == 200 - 1, imap.unexpected("wanted 199 folders beside INBOX")
        assert all(line.startswith("a NO [LIMIT] ") for line in said[len(made) :])

        message = messages.encrypted(alice.address, bob.address)
        alice.send(message, bob.address)
        bob.wait_for(message)
        assert imap.answer("DELETE f0/g/h")[-1].startswith("a OK")
        assert imap.answer("CREATE Archive")[-1].startswith("a OK")
        assert imap.answer("CREATE Archive2")[-1].startswith("a NO [LIMIT] ")


def test_a_skipped_threshold_is_noticed_at_the_next_delivery(counting_relay: Relay) -> None:
    """Concurrent deliveries saw each other's mail, so none of them crossed a threshold."""
    alice, bob = Person.on(counting_relay), Person.on(counting_relay)
    trim = ["chatmail-trim.socket", "chatmail-trim.service"]
    counting_relay.machine.run(["systemctl", "stop", *trim])
    with logged_in(bob) as imap:
        assert append(imap, [TINY] * (LIMIT - 1)).startswith("t OK")
    counting_relay.machine.run(["systemctl", "start", trim[0]])

    alice.send(messages.encrypted(alice.address, bob.address), bob.address)
    wait_until(
        lambda: len(mailboxes.files(counting_relay, bob.address)) <= LIMIT * 7 // 10 + 1,
        "room is made",
        timeout=20,
    )
