"""Every daemon restarts by itself and works again; kill -9 stands for any crash."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from harness.process import wait_until
from people import mailboxes, messages
from people.broken import ACCOUNTS, BACK_SECONDS, FILTER, WEB, kill, pid, talk
from people.https import get
from people.people import Person
from people.turn_client import Offer, allocation

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.lab import Lab
    from harness.relay import Relay
    from people.strangers import Stranger

pytestmark = pytest.mark.timeout(120)

LIMIT = 8 * 1024 * 1024
SETTINGS = {
    "mailbox": {"maxSize": LIMIT},
    "message": {"maxSize": "1M"},
    "sending": {"perMinute": 100000, "burst": 100000},
}
TRIM = "chatmail-trim.service"
# More often than systemd restarts a unit in ten seconds by default.
AGAIN_AND_AGAIN = 6


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Relay:
    """A relay with mailboxes that fill up soon."""
    return lab.relay("_killed.test", SETTINGS)


def is_back(relay: Relay, unit: str) -> None:
    """Kill a daemon, and wait until a new process is ready."""
    killed = pid(relay, unit)
    assert killed
    kill(relay, unit)
    wait_until(lambda: pid(relay, unit) not in (0, killed), f"{unit} is back", timeout=BACK_SECONDS)
    relay.machine.wait_for_unit(unit, timeout=BACK_SECONDS)


def somebody_new_writes(relay: Relay) -> None:
    """Log in for the first time, send a message, and read it."""
    person = Person.on(relay)
    message = messages.encrypted(person.address, person.address)
    person.send(message, person.address)
    person.wait_for(message)


def an_address_is_made(relay: Relay) -> None:
    """Get an address as a client does."""
    new = talk(relay, "webSocket", b"POST /new HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert new.startswith(b"HTTP/1.1 200 "), new


def a_page_is_shown(relay: Relay) -> None:
    """Load a page; logins and sending use the same nginx."""
    assert get(relay, "/")[0].status == 200
    somebody_new_writes(relay)


def a_call_is_relayed(relay: Relay) -> None:
    """Use credentials that every process of the server accepts."""
    offer = Offer.of(Person.on(relay))

    async def call() -> None:
        server = (relay.address, offer.port)
        async with allocation(server, offer.username, offer.password) as one:
            await one.send(b"hello", one.address)
            assert (await one.inbox.next())[0] == b"hello"

    asyncio.run(call())


WORKS: dict[str, Callable[[Relay], None]] = {
    FILTER: somebody_new_writes,
    ACCOUNTS: somebody_new_writes,
    WEB: an_address_is_made,
    "chatmail-turn.service": a_call_is_relayed,
    "postfix.service": somebody_new_writes,
    "dovecot.service": somebody_new_writes,
    "nginx.service": a_page_is_shown,
}


@pytest.mark.parametrize("unit", WORKS)
def test_a_killed_daemon_is_back_by_itself(relay: Relay, unit: str) -> None:
    """No operator is needed to restart it."""
    is_back(relay, unit)

    WORKS[unit](relay)


def test_unbound_is_restarted_after_repeated_kills(relay: Relay, stranger: Stranger) -> None:
    """Without it no incoming mail could be verified, and none could leave."""
    # The counter starts at zero.
    relay.machine.run(["systemctl", "reset-failed", "unbound.service"])
    for _ in range(AGAIN_AND_AGAIN):
        is_back(relay, "unbound.service")

    bob = Person.on(relay)
    message = messages.encrypted(stranger.address(), bob.address)
    stranger.deliver(relay, message, bob.address)
    bob.wait_for(message)


def test_mail_goes_out_after_chatmail_tls_was_killed(relay: Relay, public_relay: Relay) -> None:
    """Postfix queries it for each destination, and keeps mail without an answer."""
    alice, bob = Person.on(relay), Person.on(public_relay)
    is_back(relay, "chatmail-tls.service")

    message = messages.encrypted(alice.address, bob.address)
    alice.send(message, bob.address)
    bob.wait_for(message)


def test_mailboxes_are_trimmed_after_chatmail_trim_was_killed(relay: Relay) -> None:
    """The next request starts it again."""
    alice, bob = Person.on(relay), Person.on(relay)
    processes = []
    with alice.smtp() as session:
        for _ in range(2):
            for count in itertools.count(1):
                assert count * 1_000_000 < 2 * LIMIT, "mail enough for two mailboxes"
                message = messages.encrypted_of_size(alice.address, bob.address, 900_000)
                session.sendmail(alice.address, [bob.address], message)
                bob.wait_for(message)
                if pid(relay, TRIM):
                    break
            processes.append(pid(relay, TRIM))
            wait_until(
                lambda: mailboxes.used(bob) < 0.75 * LIMIT, "room in the mailbox", timeout=20
            )
            kill(relay, TRIM)
            wait_until(lambda: pid(relay, TRIM) == 0, "the end of the process", timeout=10)

    assert processes[0] != processes[1]
    assert alice.inbox() == []
