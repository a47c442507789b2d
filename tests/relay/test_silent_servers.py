"""Servers that do not answer delay only their own mail."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from harness.network import address4
from harness.process import wait_until
from people import messages
from people.outgoing import empty_queue, reasons
from people.people import Person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = [pytest.mark.timeout(180), pytest.mark.alone]

# There are a hundred delivery processes, and 300 deliveries to 60 servers with up to five each.
SERVERS = 60
ROUNDS = 5


@contextmanager
def silence(address: str) -> Iterator[None]:
    """
    Drop every SYN to port 25, like a missing host behind a silent firewall.

    The connection queue is full, and no process accepts connections.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 25))
        listener.listen(0)
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex((address, 25))
        with pytest.raises(TimeoutError):
            stack.enter_context(socket.create_connection((address, 25), timeout=0.5))
        yield


def calling(relay: Relay) -> int:
    """Return the number of connections that a relay is trying to open: SYN sent (02), no answer."""
    lines = relay.machine.run(["cat", "/proc/net/tcp"]).out.splitlines()[1:]
    return sum(line.split()[3] == "02" for line in lines)


def all_are_called(relay: Relay) -> bool:
    """Return whether the maximum number of simultaneous connection attempts is reached."""
    before = calling(relay)
    time.sleep(0.5)
    return before >= SERVERS and calling(relay) == before


def test_many_silent_servers_do_not_delay_other_mail(lab: Lab) -> None:
    """Their first messages occupied all delivery processes for ten seconds, again and again."""
    near, far = lab.relay("quick.test"), lab.relay("far.test")
    alice, bob = Person.on(near), Person.on(far)
    address = address4(110)
    names = [f"s{number}" for number in range(SERVERS)]
    lab.dns.publish(
        "silent.test",
        [("mx", "A", address), *((name, "MX", "10 mx.silent.test.") for name in names)],
    )
    recipients = [f"someone@{name}.silent.test" for name in names]
    with silence(address):
        for _ in range(ROUNDS):
            alice.send(messages.encrypted(alice.address, recipients[0]), *recipients)
        wait_until(lambda: all_are_called(near), "all silent servers are called", timeout=20)
        elsewhere = messages.encrypted(alice.address, bob.address)
        began = time.monotonic()
        alice.send(elsewhere, bob.address)
        bob.wait_for(elsewhere, seconds=30)

        assert time.monotonic() - began < 3
        wait_until(
            lambda: sum("timed out" in why for why in reasons(near).values()) == SERVERS,
            "mail to every silent server was tried and waits",
            timeout=60,
        )
    empty_queue(near)
