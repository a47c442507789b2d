"""Mailboxes never run full: their oldest mail makes room for the newest."""

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
# A deletion that leaves the directory's time as Dovecot has noted it.
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
    """A relay with small mailboxes, whose people may send as fast as they can."""
    return lab.relay(
        "_small.test",
        {
            "mailbox": {"maxSize": LIMIT},
            "message": {"maxSize": "1M"},
            "sending": {"perMinute": 100000, "burst": 100000},
        },
    )


def test_takes_twice_its_size_and_keeps_the_newest(small_relay: Relay) -> None:
    """A flood must neither bounce anybody's mail nor push out what came last."""
    alice, bob = Person.on(small_relay), Person.on(small_relay)
    sent = []
    with alice.smtp() as session:
        for _ in range(2 * LIMIT // SIZE):
            message = messages.encrypted_of_size(alice.address, bob.address, SIZE)
            session.sendmail(alice.address, bob.address, message)
            sent.append(messages.id_of(message))
    bob.wait_for(sent[-1])

    # Of the deliveries at one time to one host, any may come first.
    kept = [messages.id_of(message) for message in bob.inbox()]
    assert set(sent[AT_ONCE - len(kept) :]) <= set(kept)
    # What is above three quarters goes down to 70 %, and one message is 1 %.
    wait_until(lambda: mailboxes.used(bob) < LIMIT * 0.75, "room is made", timeout=30)
    assert mailboxes.used(bob) > LIMIT * 0.68
    assert not alice.inbox()


def test_the_oldest_goes_from_whatever_folder(small_relay: Relay) -> None:
    """The quota counts all folders, so mail in none of them may hold the place of newer mail."""
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


def test_a_client_sees_messages_go_one_by_one(small_relay: Relay) -> None:
    """Trimming looks to a client in IDLE like another device of the same person that deletes."""
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


def test_a_message_trimmed_while_dovecot_looks_is_told_soon(small_relay: Relay) -> None:
    """Dovecot took the directory's time after its look, and a client heard of it 30 s later."""
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
    """Begin to wait for news, tagged `b`."""
    imap.say("b IDLE")
    assert imap.line().startswith("+")


def told(imap: Dialogue, *news: str) -> None:
    """Read news until all of these kinds have come, each within the dialogue's deadline."""
    missing = set(news)
    while missing:
        line = imap.line()
        assert line.startswith("* "), imap.unexpected(f"wanted {missing}")
        missing -= {line.rpartition(" ")[2]}


def test_core_shows_how_full_the_mailbox_is(small_relay: Relay, tmp_path: Path) -> None:
    """People see what is left; a chatmail client asks for the quota by itself."""
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


def test_a_full_mailbox_makes_mail_wait_and_the_night_makes_room(small_relay: Relay) -> None:
    """Whatever becomes of chatmail-trim, nobody's mail is sent back."""
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
        # bounce(8)'s delay reason, as the operator reads it.
        machine.wait_until("postqueue -j | grep -q '4.2.2.*Quota exceeded'")
    finally:
        machine.run(["systemctl", "start", trim[0]])

    # What was filled before may be among them: of deliveries at one time a warning can be lost.
    assert re.search(r"from [1-9][0-9]* full mailboxes", mailboxes.expire(small_relay))
    machine.run(["postqueue", "-f"])
    # Before anybody logs in: while a session of his takes in what is gone, a delivery may still
    # count it, and the mail would wait for the queue's next run.
    machine.wait_until("! postqueue -j | grep -q .", timeout=30)
    bob.wait_for(message)
    assert not alice.inbox()
