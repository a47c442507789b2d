"""A stranger's flood on port 25 from sixteen addresses, while users continue to work."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import aiosmtplib
import pytest

from harness import evidence, network
from harness.process import wait_until
from people import at_once, messages
from people.dialogue import Dialogue
from people.people import Person
from people.strangers import Stranger, port_25

if TYPE_CHECKING:
    from harness.relay import Relay

pytestmark = [pytest.mark.timeout(180), pytest.mark.alone]

SOURCES = [network.address4(number) for number in network.CLIENTS]
FLOODING = 8
"""Addresses that send; the others hold idle connections."""
SENDERS = 48
QUIET, BUSY_SECONDS = 8, 8.0
# Users still consider this working; without a flood it takes a tenth of a second.
PATIENCE_SECONDS = 10.0


@contextmanager
def flood(relay: Relay, stranger: Stranger, target: str) -> Iterator[list[str]]:
    """Send forged mail, mail to unknown users, broken TLS and nothing at all, at full speed."""
    over = threading.Event()
    replies: list[str] = []
    forged = messages.encrypted(stranger.address(), target)
    nobody = f"nobody12@{relay.domain}"

    async def send(source: str) -> None:
        while not over.is_set():
            try:
                async with at_once.port_25(relay, source=source) as session:
                    while not over.is_set():
                        try:
                            await session.sendmail(stranger.address(), [target, nobody], forged)
                        except aiosmtplib.SMTPDataError as error:
                            replies.append(str(error.code))
            except at_once.FAULTS as error:
                replies.append(type(error).__name__)

    async def senders() -> None:
        await asyncio.gather(*(send(SOURCES[n % FLOODING]) for n in range(SENDERS)))

    # In parallel to users who work.
    flooding = threading.Thread(target=asyncio.run, args=(senders(),))
    with ExitStack() as idle:
        # The maximum number of silent connections per address, from several addresses.
        held = [
            idle.enter_context(Dialogue.connect(relay.address, 25, source=source))
            for source in SOURCES[FLOODING:]
            for _ in range(50)
        ]
        for connection in held:
            connection.expect("220 ")
        flooding.start()
        try:
            wait_until(lambda: len(replies) > 100, "the flood flows", timeout=60)
            replies.clear()
            yield replies
        finally:
            over.set()
            flooding.join(30)
            assert not flooding.is_alive()


def day(relay: Relay) -> float:
    """Log in, send a message and wait until it arrives; return the seconds."""
    began = time.monotonic()
    alice, bob = Person.on(relay), Person.on(relay)
    message = messages.encrypted(alice.address, bob.address)
    alice.send(message, bob.address)
    bob.wait_for(message)
    return time.monotonic() - began


def test_a_flood_on_port_25_does_not_stop_users(relay: Relay, stranger: Stranger) -> None:
    """Everything else keeps working, because port 25 has its own processes and limits."""
    quiet = [day(relay) for _ in range(QUIET)]
    busy = []
    target = Person.on(relay)
    with flood(relay, stranger, target.address) as replies:
        began = time.monotonic()
        while time.monotonic() - began < BUSY_SECONDS:
            busy.append(day(relay))
        refused = len(replies) / (time.monotonic() - began)

    figures = (
        f"a new pair of people, one message: undisturbed median {statistics.median(quiet):.2f} s,"
        f" slowest {max(quiet):.2f} s; in the flood median {statistics.median(busy):.2f} s,"
        f" slowest {max(busy):.2f} s; {refused:.0f} forgeries refused a second from {SENDERS}"
        f" senders, beside {50 * (len(SOURCES) - FLOODING)} idle connections"
    )
    evidence.attach("flood.txt", lambda: figures)
    print(figures)
    assert max(busy) < PATIENCE_SECONDS, figures
    assert replies
    assert set(replies) == {"554"}, set(replies)
    assert target.inbox() == []


def test_one_address_cannot_hold_all_connections(relay: Relay) -> None:
    """The fifty-first connection of an address is refused, and others can still connect."""
    with ExitStack() as held:
        connections = [
            held.enter_context(Dialogue.connect(relay.address, 25, source=SOURCES[0]))
            for _ in range(relay.settings.get("connections", {}).get("perAddress", 50))
        ]
        for connection in connections:
            connection.expect("220 ")
        with Dialogue.connect(relay.address, 25, source=SOURCES[0]) as more:
            more.expect("421 4.7.0 ")
        with Dialogue.connect(relay.address, 25, source=SOURCES[1]) as other:
            other.expect("220 ")


def test_names_cannot_be_probed(relay: Relay, bob: Person, stranger: Stranger) -> None:
    """Existing and unknown names get the same answers, up to the end of the message."""
    nobody, _ = relay.credentials()
    answers = []
    for name in (bob.address, nobody):
        message = stranger.signed(messages.encrypted(stranger.address(), name))
        with port_25(relay) as session:
            session.ehlo()
            said = [session.verify(name), session.mail(stranger.address()), session.rcpt(name)]
            said.append(session.data(message))
            answers.append([(code, text.split(b" queued as ")[0]) for code, text in said])
    known, unknown = (
        [(code, text.replace(name.encode(), b"NAME")) for code, text in said]
        for said, name in zip(answers, (bob.address, nobody), strict=True)
    )
    assert known == unknown
