"""Limits on the submission connections of one network, enforced by nginx."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from harness import network
from people import messages
from people.dialogue import Dialogue, insecure
from people.people import Person, smtp_login

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(120)

LIMIT = 6
SOURCES = [network.address4(number) for number in network.CLIENTS]
SOURCES6 = [network.address6(number) for number in network.CLIENTS]
# All submission ports, and how TLS begins on them.
DOORS = ((465, insecure()), (587, None), (443, insecure("smtp")))


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Relay:
    """A relay with a low limit."""
    return lab.relay("_few.test", {"connections": {"perAddress": LIMIT}})


def answers(host: str, door: int, source: str) -> Dialogue | None:
    """Connect to a port; return None if it closes the connection without a word."""
    port, tls = DOORS[door % len(DOORS)]
    try:
        smtp = Dialogue.connect(host, port, tls, source=source)
    except OSError:
        return None
    if not smtp.line().startswith("220 "):
        smtp.close()
        return None
    return smtp


def held(stack: ExitStack, host: str, source: str, count: int) -> list[Dialogue]:
    """Open connections to one port after the other, and keep them until the end of the block."""
    return [
        stack.enter_context(smtp) for door in range(count) if (smtp := answers(host, door, source))
    ]


def test_one_client_cannot_hold_all_connections(relay: Relay) -> None:
    """All ports count together. The excess connection is closed, and others can still connect."""
    with ExitStack() as stack:
        assert len(held(stack, relay.address, SOURCES[0], LIMIT)) == LIMIT
        assert [answers(relay.address, door, SOURCES[0]) for door in range(3)] == [None] * 3
        assert len(held(stack, relay.address, SOURCES[1], LIMIT)) == LIMIT


def test_many_clients_are_not_counted_as_one(relay: Relay) -> None:
    """For Postfix all of them are nginx, so twelve clients have more connections than one may."""
    with ExitStack() as stack:
        found = [
            one for source in SOURCES[:12] for one in held(stack, relay.address, source, LIMIT - 1)
        ]
        assert len(found) == 12 * (LIMIT - 1)
        for smtp in found:
            smtp.say("NOOP").reply()


def test_a_place_is_free_again_when_a_connection_ends(relay: Relay) -> None:
    """The limit is for simultaneous connections."""
    with ExitStack() as stack:
        held(stack, relay.address, SOURCES[2], LIMIT)
        assert answers(relay.address, 0, SOURCES[2]) is None
    relay.machine.wait_until("! ss -Htn state established '( sport = :20465 )' | grep -q .")
    with ExitStack() as stack:
        assert len(held(stack, relay.address, SOURCES[2], LIMIT)) == LIMIT


def test_a_household_is_one_client_in_ipv6(relay: Relay) -> None:
    """A household has 2^64 addresses; the lab's clients are in one such network."""
    with ExitStack() as stack:
        found = [
            smtp
            for door, source in enumerate(SOURCES6[:LIMIT])
            if (smtp := answers(relay.address6, door, source))
        ]
        for smtp in found:
            stack.enter_context(smtp)
        assert len(found) == LIMIT
        assert [answers(relay.address6, door, SOURCES6[LIMIT]) for door in range(3)] == [None] * 3
        assert len(held(stack, relay.address, SOURCES[0], 1)) == 1


def test_wrong_passwords_of_one_client_do_not_slow_others(
    relay: Relay, alice: Person, bob: Person
) -> None:
    """Dovecot counts failures by address, and Postfix reports the same address for all clients."""
    for _ in range(20):
        assert smtp_login(relay, bob.address, "wrong-password").startswith("535 ")
    message = messages.encrypted(alice.address, bob.address)
    start = relay.machine.run(["date", "+%s.%N"]).out
    alice.send(message, bob.address)
    took = float(relay.machine.run(["date", "+%s.%N"]).out) - float(start)

    # Dovecot's first delay is two seconds.
    assert took < 1.5
    bob.wait_for(message)


def test_postfix_completes_no_header_fields(relay: Relay, alice: Person) -> None:
    """All clients come from this host, and Postfix once completed headers for local clients."""
    message = messages.encrypted(alice.address, alice.address)
    dateless = b"".join(
        line for line in message.splitlines(keepends=True) if not line.startswith(b"Date:")
    )
    assert dateless != message
    alice.send(dateless, alice.address)

    assert b"\nDate:" not in alice.wait_for(message)


def test_postfix_down_is_a_closed_connection(relay: Relay) -> None:
    """Clients try again, and nothing about them is logged."""
    start = relay.machine.cursor()
    relay.machine.run(["systemctl", "stop", "postfix.service"])
    try:
        said = [answers(relay.address, door, SOURCES[0]) for door in range(3)]
    finally:
        relay.machine.run(["systemctl", "start", "postfix.service"])
    assert said == [None] * 3
    journal = relay.machine.journal(after=start)
    assert "postfix.service" in journal
    assert SOURCES[0] not in journal
