"""Servers that do not answer delay only their own mail."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
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

pytestmark = [pytest.mark.timeout(300), pytest.mark.alone]

SILENT, DRIPPING, REFUSING = (address4(number) for number in (110, 111, 112))
SENDERS = 20
NAMES_EACH = 50
DRIP_SECONDS = 4.0
MESSAGES = 40
MAX_DELAY_SECONDS = 2.0


@contextlib.contextmanager
def dead_servers() -> Iterator[None]:
    """
    Listen on port 25 of two addresses without completing a greeting; the third refuses.

    One is silent, the other begins a greeting again and again.
    """
    ready, loop = threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            await reader.read()

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            while not over.is_set():
                writer.write(b"220-please wait\r\n")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), DRIP_SECONDS)

    async def serve() -> None:
        async with (
            await asyncio.start_server(say_nothing, SILENT, 25),
            await asyncio.start_server(drip, DRIPPING, 25),
        ):
            ready.set()
            await over.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def run() -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)


def transport(relay: Relay, domain: str) -> str:
    """Return chatmail-tls' answer about the transport of a domain."""
    socket = relay.value.daemons["paths"]["tlsPolicySocket"]
    table = f"socketmap:unix:{socket}:transport"
    return relay.machine.run(["postmap", "-q", f"someone@{domain}", table]).out.strip()


def test_three_thousand_dead_destinations_do_not_delay_live_relays(lab: Lab) -> None:
    """
    One message to 150 names of a silent server once held all 100 delivery processes.

    Here 20 accounts write to 1000 silent, 1000 dripping and 1000 refusing names.
    """
    near, far = lab.relay("quick.test"), lab.relay("far.test")
    pairs = [(Person.on(near), Person.on(far)) for _ in range(8)]
    for alice, bob in pairs[:2]:
        first = messages.encrypted(alice.address, bob.address)
        alice.send(first, bob.address)
        bob.wait_for(first)
    assert transport(near, "far.test") == ":"
    for zone, address in (("silent", SILENT), ("drips", DRIPPING), ("refuses", REFUSING)):
        lab.dns.publish(f"{zone}.test", [("mx", "A", address), ("*", "MX", f"10 mx.{zone}.test.")])
    attackers = [Person.on(near) for _ in range(SENDERS)]
    with dead_servers():
        for number, attacker in enumerate(attackers):
            for zone in ("silent", "drips", "refuses"):
                names = [f"x@{number}-{n}.{zone}.test" for n in range(NAMES_EACH)]
                attacker.send(messages.encrypted(attacker.address, names[0]), *names)
        wait_until(
            lambda: any("silent" in who for who in reasons(near)),
            "the attack is under way",
            timeout=60,
        )
        delays = []
        for round_ in range(MESSAGES):
            alice, bob = pairs[round_ % len(pairs)]
            message = messages.encrypted(alice.address, bob.address)
            began = time.monotonic()
            alice.send(message, bob.address)
            bob.wait_for(message, seconds=60)
            delays.append(time.monotonic() - began)
        print(f"delays: median {sorted(delays)[MESSAGES // 2]:.2f} s, most {max(delays):.2f} s")

        assert max(delays) < MAX_DELAY_SECONDS
        assert transport(near, "0-0.silent.test") == "smtp-new:"
    empty_queue(near)


def test_a_failing_server_counts_as_silent_until_its_next_greeting(lab: Lab) -> None:
    """A server that answered before must not occupy others' processes when it becomes silent."""
    near, far = lab.relay("quick.test"), lab.relay("far.test")
    alice, bob = Person.on(near), Person.on(far)
    before = messages.encrypted(alice.address, bob.address)
    alice.send(before, bob.address)
    bob.wait_for(before)
    assert transport(near, "far.test") == ":"

    far.machine.run(["systemctl", "stop", "postfix"])
    meanwhile = messages.encrypted(alice.address, bob.address)
    alice.send(meanwhile, bob.address)
    wait_until(
        lambda: transport(near, "far.test") == "smtp-new:", "the failure is known", timeout=60
    )
    far.machine.run(["systemctl", "start", "postfix"])

    bob.wait_for(meanwhile, seconds=90)
    assert transport(near, "far.test") == ":"
