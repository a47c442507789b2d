"""The nightly expiry, and what connected clients see of it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from people import hibernation, mailboxes, messages
from people.imap import logged_in
from people.people import Person, exists, imap_login

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.relay import Relay

INOTIFY = """
for hibernate in $(pgrep -x imap-hibernate); do
    ls -l "/proc/$hibernate/fd" | grep -q inotify && exit 0
done
exit 1
"""


@pytest.fixture
def old(alice: Person, bob: Person) -> Callable[..., str]:
    """Put an old message into bob's mailbox; return its path."""

    def plant(days: float, size: int = 5_000, folder: str = "") -> str:
        text = messages.encrypted_of_size(alice.address, bob.address, size)
        return mailboxes.plant(bob.relay, bob.address, text, days, folder)

    mailboxes.awake(bob.relay)
    return plant


def test_mail_is_deleted_after_its_retention(bob: Person, old: Callable[..., str]) -> None:
    """A small message stays for twenty days and a large one for seven, in every folder."""
    with bob.mailbox() as box:
        box.folder.create("Archive")
    for folder in ("", "Archive"):
        old(20.5, folder=folder)
        old(7.5, 300_000, folder)
    kept = {old(19.5), old(7.5), old(6.5, 300_000), old(19.5, folder="Archive")}

    said = mailboxes.expire(bob.relay)

    assert mailboxes.files(bob.relay, bob.address) == kept
    assert "removed 2 messages" in said
    assert bob.address not in said


def test_a_copy_is_as_old_as_its_original(bob: Person, old: Callable[..., str]) -> None:
    """Otherwise mail that is copied now and then would stay forever, under new file names."""
    for days in (21, 19):
        path = old(days)
        bob.relay.machine.run(["touch", "-m", "-d", f"{days} days ago", path])
    with logged_in(bob) as imap:
        for command in ("SELECT INBOX", "CREATE Box", "COPY 1:2 Box", "COPY 1:2 INBOX"):
            assert imap.answer(command)[-1].startswith("a OK "), command
        assert imap.answer("MOVE 1:2 Box")[-1].startswith("a OK ")
    assert len(mailboxes.files(bob.relay, bob.address)) == 6

    mailboxes.expire(bob.relay)

    left = mailboxes.files(bob.relay, bob.address)
    times = bob.relay.machine.run(["stat", "-c", "%Y", *left]).out.split()
    assert len(left) == 3
    assert all(time.time() - int(one) < 20 * mailboxes.DAY for one in times)


def test_the_operator_sees_when_it_last_ran(bob: Person, old: Callable[..., str]) -> None:
    """Neither the output nor the file behind it contains addresses."""
    for _ in range(3):
        old(21)
    mailboxes.expire(bob.relay)

    said = bob.relay.chatmail("status", check=False).out
    [line] = [line for line in said.splitlines() if "expiry" in line.split()]
    today = bob.relay.machine.run(["date", "-u", "+%Y-%m-%d"]).out.strip()
    kept = bob.relay.machine.read(bob.relay.value.daemons["paths"]["lastNight"])
    assert f"ran {today}" in line
    assert "deleted 3 messages" in line
    assert "@" not in line + kept


def test_the_quota_counts_deleted_mail_out(bob: Person, old: Callable[..., str]) -> None:
    """Clients show the quota, and the next delivery is checked against it."""
    for _ in range(3):
        old(21, 500_000)
    old(1, 500_000)
    before = mailboxes.used(bob)

    mailboxes.expire(bob.relay)

    assert before == pytest.approx(2_000_000, abs=1024)
    assert mailboxes.used(bob) == pytest.approx(500_000, abs=1024)


def test_a_client_in_idle_sees_expunges(bob: Person, old: Callable[..., str]) -> None:
    """The client is in IDLE when the mail is deleted, gets notified, and keeps its connection."""
    old(21)
    old(21)
    old(1)
    with logged_in(bob) as imap:
        assert "* 3 EXISTS" in imap.answer("SELECT INBOX")
        imap.say("b IDLE")
        assert imap.line().startswith("+")

        mailboxes.expire(bob.relay)

        assert {imap.line(), imap.line()} <= {"* 1 EXPUNGE", "* 2 EXPUNGE"}
        imap.say("DONE")
        assert imap.until("b")[-1].startswith("b OK")
        lines = imap.answer("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        assert [line for line in lines if line.startswith("* 1 FETCH")]
        assert lines[-1].startswith("a OK")


def test_a_hibernated_client_sees_expunges(bob: Person, old: Callable[..., str]) -> None:
    """At night nearly all clients hibernate; Dovecot wakes those whose mail is deleted."""
    old(21)
    old(1)
    with hibernation.soon(bob.relay), logged_in(bob) as imap:
        assert "* 2 EXISTS" in imap.answer("SELECT INBOX")
        imap.say("b IDLE")
        assert imap.line().startswith("+")
        bob.relay.machine.wait_until(INOTIFY, timeout=45)

        mailboxes.expire(bob.relay)

        said = [line for line in iter(imap.line, "* 1 EXPUNGE") if line != "* OK Still here"]
        assert said == []
        imap.say("DONE")
        assert imap.until("b")[-1].startswith("b OK")


def test_a_client_that_reads_meanwhile_is_not_disconnected(
    bob: Person, old: Callable[..., str]
) -> None:
    """If the requested message is gone, the client gets an answer, and the connection stays."""
    old(21)
    kept = old(1)
    with logged_in(bob) as imap:
        assert "* 2 EXISTS" in imap.answer("SELECT INBOX")

        mailboxes.expire(bob.relay)

        assert imap.answer("FETCH 1 (BODY.PEEK[])")[-1][:4] in {"a NO", "a OK"}
        assert imap.answer("NOOP")[-1].startswith("a OK")
        assert "* SEARCH 1" in imap.answer("SEARCH ALL")
    files = mailboxes.files(bob.relay, bob.address)
    assert {path.partition(":")[0].rpartition("/")[2] for path in files} == {
        kept.rpartition("/")[2]
    }


def test_a_relay_that_was_away_waits_a_week(bob: Person, old: Callable[..., str]) -> None:
    """After a month offline all mail is old, but users must be able to fetch it first."""
    path = old(25)
    bob.relay.machine.run(["rm", "-f", bob.relay.value.daemons["paths"]["expiryHold"]])

    said = mailboxes.expire(bob.relay)

    assert mailboxes.files(bob.relay, bob.address) == {path}
    assert "the relay was offline" in said


def test_a_dry_run_deletes_nothing(bob: Person, old: Callable[..., str]) -> None:
    """`chatmail expire --dry-run` lists what would be deleted."""
    path = old(25)

    shown = bob.relay.chatmail("expire", "--dry-run").out

    assert re.search(r"^  old mail +[1-9][0-9]* messages", shown, re.MULTILINE)
    assert mailboxes.files(bob.relay, bob.address) == {path}
    assert "done" in bob.relay.chatmail("expire").out
    assert not mailboxes.files(bob.relay, bob.address)


def test_a_timer_starts_it_every_night(relay: Relay) -> None:
    """The timer also starts it after a missed night."""
    wanted = "--property=ActiveState,Persistent,NextElapseUSecRealtime"
    shown = relay.machine.run(["systemctl", "show", "chatmail-expire.timer", wanted]).out

    assert "ActiveState=active" in shown
    assert "Persistent=yes" in shown
    assert "NextElapseUSecRealtime=n/a" not in shown


def test_an_unused_account_is_deleted_with_all_its_data(alice: Person, bob: Person) -> None:
    """After ninety days without a login it is deleted; an account used on the last day stays."""
    relay = bob.relay
    mailboxes.awake(relay)
    for person in (alice, bob):
        text = messages.encrypted_of_size(alice.address, bob.address, 5_000)
        mailboxes.plant(relay, person.address, text, 1)
    mailboxes.last_seen(relay, bob.address, 91)
    mailboxes.last_seen(relay, alice.address, 91)
    with alice.mailbox():
        pass

    said = mailboxes.expire(relay)

    assert "1 of 2 idle accounts" in said
    assert bob.address not in said
    assert not exists(relay, bob.address)
    assert relay.machine.run(["test", "-e", mailboxes.home(relay, bob.address)], check=False).status
    assert exists(relay, alice.address)
    assert mailboxes.files(relay, alice.address)
    assert imap_login(relay, bob.address, bob.password)


def test_a_connected_client_of_a_deleted_account_is_disconnected(bob: Person) -> None:
    """Otherwise it would go on reading mail that no longer exists."""
    mailboxes.awake(bob.relay)
    with logged_in(bob) as imap:
        imap.answer("SELECT INBOX")
        imap.say("b IDLE")
        assert imap.line().startswith("+")
        mailboxes.last_seen(bob.relay, bob.address, 91)

        mailboxes.expire(bob.relay)

        assert imap.ended()
