"""Mailboxes never fill up: the oldest mail makes room for the newest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness import deltachat
from harness.process import wait_until
from people import mailboxes, messages
from people.imap import logged_in
from people.people import Person

if TYPE_CHECKING:
    from pathlib import Path

    from harness.lab import Lab
    from harness.relay import Relay
    from people.dialogue import Dialogue

LIMIT = 20 * 1024 * 1024
SIZE = 200_000
AT_ONCE = 20
"""Postfix' default_destination_concurrency_limit."""
# A deletion after which the directory still has the time that Dovecot has recorded.
UNNOTICED = """
import os, sys
path = sys.argv[1]
directory = os.path.dirname(path)
before = os.stat(directory)
os.unlink(path)
os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))
"""


@pytest.fixture(scope="session")
def small_relay(lab: Lab) -> Relay:
    """A relay with small mailboxes and no tight sending limit."""
    return lab.relay(
        "_small.test",
        {
            "mailbox": {"maxSize": LIMIT},
            "message": {"maxSize": "1M"},
            "sending": {"perMinute": 100000, "burst": 100000},
        },
    )


def test_accepts_twice_its_size_and_keeps_the_newest(small_relay: Relay) -> None:
    """A flood must neither cause bounces nor displace the newest mail."""
    alice, bob = Person.on(small_relay), Person.on(small_relay)
    sent = []
    with alice.smtp() as session:
        for _ in range(2 * LIMIT // SIZE):
            message = messages.encrypted_of_size(alice.address, bob.address, SIZE)
            session.sendmail(alice.address, bob.address, message)
            sent.append(messages.id_of(message))
    bob.wait_for(sent[-1])

    # Simultaneous deliveries to one host may arrive in any order.
    kept = [messages.id_of(message) for message in bob.inbox()]
    assert set(sent[AT_ONCE - len(kept) :]) <= set(kept)
    # Trimming starts at 75 % and ends at 70 %, and one message is 1 %.
    wait_until(lambda: mailboxes.used(bob) < LIMIT * 0.75, "room is made", timeout=30)
    assert mailboxes.used(bob) > LIMIT * 0.68
    assert not alice.inbox()


def test_trims_the_oldest_of_all_folders(small_relay: Relay) -> None:
    """The quota counts all folders, so none may keep old mail at the expense of new mail."""
    alice, bob = Person.on(small_relay), Person.on(small_relay)
    with bob.mailbox() as box:
        box.folder.create("Archive")

    def message() -> bytes:
        return messages.encrypted_of_size(alice.address, bob.address, 1_000_000)

    archived = [mailboxes.plant(small_relay, bob.address, message(), 6, "Archive") for _ in "1234"]
    here = [mailboxes.plant(small_relay, bob.address, message(), 5) for _ in "12345678"]
    newer = [mailboxes.plant(small_relay, bob.address, message(), 4, "Archive") for _ in "12"]
    with alice.smtp() as session:
        for _ in range(2):
            session.sendmail(alice.address, bob.address, message())

    def left() -> set[str]:
        names = mailboxes.files(small_relay, bob.address)
        return {name.rpartition("/")[2].partition(":")[0] for name in names}

    wait_until(lambda: len(left()) <= 14, "room is made", timeout=20)
    kept = {path.rpartition("/")[2] for path in (*here, *newer)}
    assert kept <= left()
    assert len({path.rpartition("/")[2] for path in archived} & left()) == 2


def test_a_client_sees_expunges(small_relay: Relay) -> None:
    """For a client in IDLE, trimming looks like a deletion by another device."""
    alice, bob = Person.on(small_relay), Person.on(small_relay)
    for _ in range(15):
        text = messages.encrypted_of_size(alice.address, bob.address, 1_000_000)
        mailboxes.plant(small_relay, bob.address, text, 5)
    with logged_in(bob) as imap:
        assert "* 15 EXISTS" in imap.answer("SELECT INBOX")
        idle(imap)
        alice.send(messages.encrypted_of_size(alice.address, bob.address, 900_000), bob.address)

        told(imap, "EXISTS", "EXPUNGE")
        imap.say("DONE")
        assert imap.until("b")[-1].startswith("b OK")
        assert imap.answer("FETCH 1:* (UID RFC822.SIZE)")[-1].startswith("a OK")


def test_a_message_trimmed_during_a_scan_is_expunged_soon(small_relay: Relay) -> None:
    """Dovecot recorded the directory's time after its scan, and clients noticed 30 s later."""
    alice, bob = Person.on(small_relay), Person.on(small_relay)
    message = messages.encrypted(alice.address, bob.address)
    path = mailboxes.plant(small_relay, bob.address, message, 5)
    with logged_in(bob) as imap:
        assert "* 1 EXISTS" in imap.answer("SELECT INBOX")
        idle(imap)
        alice.send(messages.encrypted(alice.address, bob.address), bob.address)
        told(imap, "EXISTS")
        [seen] = [
            name
            for name in mailboxes.files(small_relay, bob.address)
            if path.rpartition("/")[2] in name
        ]
        small_relay.machine.run(["python3", "-c", UNNOTICED, seen])

        told(imap, "EXPUNGE")


def idle(imap: Dialogue) -> None:
    """Enter IDLE with the tag `b`."""
    imap.say("b IDLE")
    assert imap.line().startswith("+")


def told(imap: Dialogue, *news: str) -> None:
    """Read updates until each of these kinds has come, within the dialogue's deadline."""
    missing = set(news)
    while missing:
        line = imap.line()
        assert line.startswith("* "), imap.unexpected(f"wanted {missing}")
        missing -= {line.rpartition(" ")[2]}


def test_core_shows_how_full_the_mailbox_is(small_relay: Relay, tmp_path: Path) -> None:
    """Users see the remaining space; chatmail clients query the quota by themselves."""
    bob = Person.on(small_relay)
    text = messages.encrypted_of_size(bob.address, bob.address, 1_000_000)
    for _ in range(10):
        mailboxes.plant(small_relay, bob.address, text, 1)
    percent = mailboxes.used(bob) * 100 // LIMIT
    with deltachat.core(tmp_path) as core:
        account = core.deltachat.add_account()
        account.add_or_update_transport(deltachat.login(small_relay, bob.address, bob.password))
        account.bring_online()

        def shown() -> str | None:
            page: str = account.manager.rpc.get_connectivity_html(account.id)
            return page if f"{percent}%" in page else None

        assert wait_until(shown, f"core shows {percent} %", timeout=60, step=1)


def test_mail_for_a_full_mailbox_waits_for_the_nightly_run(small_relay: Relay) -> None:
    """Whatever happens to chatmail-trim, no mail bounces."""
    alice, bob = Person.on(small_relay), Person.on(small_relay)
    machine = small_relay.machine
    text = messages.encrypted_of_size(alice.address, bob.address, 1_000_000)
    message = messages.encrypted_of_size(alice.address, bob.address, 1_000_000)
    trim = ["chatmail-trim.socket", "chatmail-trim.service"]
    machine.run(["systemctl", "stop", *trim])
    try:
        for _ in range(LIMIT // len(text)):
            mailboxes.plant(small_relay, bob.address, text, 5)
        alice.send(message, bob.address)
        # The delay reason of bounce(8), as the operator sees it.
        machine.wait_until("postqueue -j | grep -q '4.2.2.*Quota exceeded'")
    finally:
        machine.run(["systemctl", "start", trim[0]])

    # Earlier mail may be among them: simultaneous deliveries can lose a warning.
    assert re.search(r"from [1-9][0-9]* full mailboxes", mailboxes.expire(small_relay))
    machine.run(["postqueue", "-f"])
    # Deliver before any login. A session that still processes the deletions could let a delivery
    # count them, and the mail would wait for the next queue run.
    machine.wait_until("! postqueue -j | grep -q .", timeout=30)
    bob.wait_for(message)
    assert not alice.inbox()
