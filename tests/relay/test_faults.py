"""When something breaks, mail is late but never lost."""

from __future__ import annotations

import asyncio
import json
import smtplib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from harness.process import wait_until
from people import at_once
from people.broken import (
    ACCOUNTS,
    ACCOUNTS_WHOLE,
    CONFIG,
    DOMAIN,
    FILTER,
    SETTINGS,
    WEB,
    deliver_now,
    kill,
    queued,
    stopped,
)
from people.dialogue import Dialogue, insecure
from people.messages import encrypted, id_of
from people.people import Person, exists, imap_login, smtp_login

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Relay:
    """A relay for this module, because the tests break it."""
    return lab.relay(DOMAIN, SETTINGS)


@pytest.fixture(autouse=True)
def _whole(relay: Relay) -> Iterator[None]:
    """Start and end every test with a working relay."""
    yield
    units = [*ACCOUNTS_WHOLE, FILTER, WEB, "dovecot.service", "postfix.service"]
    relay.machine.run(["systemctl", "start", *units])
    for unit in units:
        relay.machine.wait_for_unit(unit)


def test_without_the_filter_clients_are_told_to_try_again(
    relay: Relay, alice: Person, bob: Person
) -> None:
    """Clients get 421, even in open sessions, and nothing passes; later mail flows again."""
    before, sentinel = (encrypted(alice.address, bob.address) for _ in range(2))
    with alice.smtp() as open_session, stopped(relay, FILTER):
        for port, tls in ((465, insecure()), (25, None)):
            with Dialogue.connect(relay.address, port, tls) as smtp:
                smtp.expect("421 ")
        with pytest.raises((smtplib.SMTPException, OSError)) as told:
            open_session.sendmail(alice.address, [bob.address], before)
        code = getattr(told.value, "smtp_code", None)
        assert code in (None, 421, 451), told.value
        assert queued(relay) == []
    alice.send(sentinel, bob.address)
    assert bob.inbox_after(sentinel) == []


def test_without_the_accounts_daemon_known_users_can_continue(
    relay: Relay, alice: Person, bob: Person
) -> None:
    """Known users log in from the account book, and mail is delivered; nothing bounces."""
    message = encrypted(alice.address, bob.address)
    with stopped(relay, *ACCOUNTS_WHOLE):
        relay.machine.run(["doveadm", "auth", "cache", "flush"])
        assert imap_login(relay, alice.address, alice.password) == ""
        alice.send(message, bob.address)
        bob.wait_for(message, seconds=60)
    assert alice.inbox() == []


def test_without_the_accounts_daemon_new_users_are_told_to_try_later(relay: Relay) -> None:
    """
    After "wrong password" a client would give up; and no account is created by accident.

    In SMTP, Postfix answers 535 to every refusal by Dovecot.
    """
    address, password = relay.credentials()
    with stopped(relay, *ACCOUNTS_WHOLE):
        assert "UNAVAILABLE" in imap_login(relay, address, password)
        assert smtp_login(relay, address, password).startswith(("454 ", "535 "))
    assert not exists(relay, address)
    assert imap_login(relay, address, password) == ""


BROKEN_BOOKS = {
    "missing": 'rm "$1"',
    "empty": ': > "$1"',
    "overwritten": 'printf "this is no database, but long enough to look at" > "$1"',
    "damaged": 'dd if=/dev/urandom of="$1" bs=1024 seek=1 count=7 conv=notrunc status=none',
}


@pytest.mark.parametrize("damage", BROKEN_BOOKS)
def test_with_a_broken_account_book_all_logins_are_deferred(
    relay: Relay, alice: Person, bob: Person, damage: str
) -> None:
    """
    The journal names the file, mail waits instead of bouncing, and the repaired book is complete.

    A missing book must not be replaced by an empty one, where the first login would take over an
    address.
    """
    machine, book = relay.machine, relay.value.daemons["paths"]["accountBook"]
    message = encrypted(alice.address, bob.address)
    start = machine.cursor()
    with alice.smtp() as session:
        machine.run(["systemctl", "stop", *ACCOUNTS_WHOLE, "dovecot.service"])
        machine.run(
            [
                "sh",
                "-ec",
                'mkdir /root/book; mv "$1"* /root/book; cp -p "/root/book/${1##*/}" "$1"',
                "sh",
                book,
            ]
        )
        machine.run(["sh", "-ec", BROKEN_BOOKS[damage], "sh", book])
        try:
            machine.run(["systemctl", "start", *ACCOUNTS_WHOLE[:2], "dovecot.service"])
            machine.run(["systemctl", "start", "--no-block", ACCOUNTS])
            wait_until(
                lambda: book in machine.journal(ACCOUNTS, after=start),
                "the journal names the account book",
                timeout=20,
            )
            known, new = (alice.address, alice.password), relay.credentials()
            # Dovecot takes twelve seconds for each answer.
            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(lambda login: imap_login(relay, *login), [known, new]))
            assert all("UNAVAILABLE" in answer for answer in answers), answers
            session.sendmail(alice.address, [bob.address], message)
            wait_until(
                lambda: [mail for mail in queued(relay) if mail["queue_name"] == "deferred"],
                "the message waits",
                timeout=60,
            )
        finally:
            machine.run(["systemctl", "stop", *ACCOUNTS_WHOLE, "dovecot.service"])
            machine.run(
                [
                    "sh",
                    "-ec",
                    'rm -f "$1"*; mv /root/book/* "${1%/*}"; rmdir /root/book',
                    "sh",
                    book,
                ]
            )
            machine.run(["systemctl", "reset-failed", ACCOUNTS], check=False)
            machine.run(["systemctl", "start", *ACCOUNTS_WHOLE, "dovecot.service"])
    machine.wait_for_unit(ACCOUNTS)
    deliver_now(relay)
    bob.wait_for(message)
    assert alice.inbox() == []


@pytest.mark.parametrize("unit", [FILTER, ACCOUNTS, WEB])
def test_an_unknown_key_in_the_configuration_stops_the_start(relay: Relay, unit: str) -> None:
    """A typing error must not become a default; the message suggests the correct key."""
    machine = relay.machine
    right = machine.read(CONFIG)
    wrong = json.loads(right)
    wrong["sending"]["perMinut"] = wrong["sending"]["perMinute"]
    start = machine.cursor()
    machine.write(CONFIG, json.dumps(wrong))
    try:
        assert machine.run(["systemctl", "restart", unit], check=False, timeout=30).status != 0
        said = machine.journal(unit, after=start)
    finally:
        machine.write(CONFIG, right)
        machine.run(["systemctl", "reset-failed", unit], check=False)
        machine.run(["systemctl", "restart", unit])
    machine.wait_for_unit(unit)
    assert f"{CONFIG}: unknown key `sending.perMinut`" in said
    assert "sending.perMinute" in said


def test_without_dovecot_mail_waits(relay: Relay, alice: Person, bob: Person) -> None:
    """The queue keeps it, nothing bounces, and it is delivered when Dovecot is back."""
    message = encrypted(alice.address, bob.address)
    with alice.smtp() as session, stopped(relay, "dovecot.service"):
        session.sendmail(alice.address, [bob.address], message)
        wait_until(
            lambda: [mail for mail in queued(relay) if mail["queue_name"] == "deferred"],
            "the message waits",
            timeout=30,
        )
    deliver_now(relay)
    bob.wait_for(message)
    assert alice.inbox() == []


def test_killing_the_filter_under_load_loses_nothing(relay: Relay, bob: Person) -> None:
    """On twenty connections, exactly the acknowledged messages are delivered."""
    connections, messages, killed_after = 20, 20, 100
    acknowledged: list[str] = []
    sender = Person.on(relay)

    async def send(enough: asyncio.Event) -> None:
        left = [encrypted(sender.address, bob.address) for _ in range(messages)]
        deadline = time.monotonic() + 60
        while left and time.monotonic() < deadline:
            try:
                async with at_once.session(sender) as session:
                    while left:
                        await session.sendmail(sender.address, [bob.address], left[-1])
                        acknowledged.append(id_of(left.pop()))
                        if len(acknowledged) >= killed_after:
                            enough.set()
            except at_once.FAULTS:
                # Refused or disconnected: as clients do, try again with a message with its own
                # Message-ID.
                left[-1:] = [encrypted(sender.address, bob.address)] if left else []

    async def crowd() -> None:
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as senders:
            for _ in range(connections):
                senders.create_task(send(enough))
            await asyncio.wait_for(enough.wait(), 60)
            await asyncio.to_thread(kill, relay, FILTER)

    asyncio.run(crowd())
    wait_until(lambda: not queued(relay), "everything accepted is delivered", timeout=60)
    delivered = [id_of(message) for message in bob.inbox()]
    assert len(acknowledged) == connections * messages
    assert sorted(delivered) == sorted(acknowledged)


def test_no_daemon_showed_a_traceback(relay: Relay) -> None:
    """Runs after the tests above: every fault was expected and reported in a sentence."""
    journal = relay.machine.journal()
    assert "Traceback" not in journal
