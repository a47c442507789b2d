"""
The benchmark of chatmail's announcement: the times that users wait.

The four measurements of the wire use Python's own clients with a new account; the other three use
Delta Chat core. Each is measured as in the announcement. `python -m bench.chat DOMAIN TIMES` prints
the seconds of every run as JSON.
"""

from __future__ import annotations

import imaplib
import json
import secrets
import smtplib
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any

from deltachat_rpc_client import Account, EventType

from bench.wire import unverified
from harness import deltachat
from harness.lab import Lab
from harness.relay import Relay

# Median, minimum and maximum in seconds over the Internet, with 20 to 30 ms per packet, against
# nine.testrun.org, December 2023.
ANNOUNCED = {
    "imap_connect": (0.13, 0.11, 0.19),
    "imap_connect_and_login": (0.21, 0.20, 0.24),
    "smtp_connect": (0.19, 0.17, 0.24),
    "smtp_connect_and_login": (0.26, 0.25, 0.27),
    "autoconfig_and_idle_ready": (1.18, 1.12, 1.19),
    "ping_pong": (0.47, 0.44, 1.16),
    "send_10_receive_10": (2.21, 1.74, 2.44),
}
EVENT_SECONDS = 60


def wire(relay: Relay) -> dict[str, Callable[[], Callable[[], Any]]]:
    """Return functions that connect and return how to disconnect, by name."""
    host = relay.domain
    # Created once: reading the root certificates takes a client longer than the rest.
    tls = unverified()

    def imap_connect() -> Callable[[], Any]:
        return imaplib.IMAP4_SSL(host, ssl_context=tls).shutdown

    def imap_connect_and_login() -> Callable[[], Any]:
        connection = imaplib.IMAP4_SSL(host, ssl_context=tls)
        connection.login(*relay.credentials())
        return connection.shutdown

    def smtp_connect() -> Callable[[], Any]:
        return smtplib.SMTP_SSL(host, local_hostname="client.test", context=tls).close

    def smtp_connect_and_login() -> Callable[[], Any]:
        connection = smtplib.SMTP_SSL(host, local_hostname="client.test", context=tls)
        connection.login(*relay.credentials())
        return connection.close

    steps = (imap_connect, imap_connect_and_login, smtp_connect, smtp_connect_and_login)
    return {step.__name__: step for step in steps}


def timed(step: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a step takes, and its result."""
    start = time.monotonic()
    answer = step()
    return time.monotonic() - start, answer


def received(account: Account, texts: set[str]) -> None:
    """Wait until messages with all these texts have arrived, in any order."""
    events = account.manager.rpc.get_queue(account.id)
    deadline = time.monotonic() + EVENT_SECONDS
    missing = set(texts)
    while missing:
        try:
            event = events.get(timeout=max(deadline - time.monotonic(), 0))
        except Empty:
            raise TimeoutError(f"{len(missing)} messages not there in {EVENT_SECONDS} s") from None
        if event["kind"] == EventType.INCOMING_MSG:
            message = account.get_message_by_id(event["msgId"])
            missing.discard(message.get_snapshot().text)


def idle_ready(core: deltachat.Core, relay: Relay) -> None:
    """Create a new account, find its servers by autoconfig, go online and enter IDLE."""
    address, password = relay.credentials()
    account = core.deltachat.add_account()
    account.add_or_update_transport(deltachat.login(relay, address, password))
    account.start_io()
    account.wait_for_event(EventType.IMAP_INBOX_IDLE)
    account.stop_io()


def chat(core: deltachat.Core, relay: Relay, times: int) -> dict[str, list[float]]:
    """Measure Delta Chat core."""
    ready = [timed(lambda: idle_ready(core, relay))[0] for _ in range(times)]

    def pair() -> tuple[Account, Account, Any, Any]:
        alice, bob = core.online(relay, 2)
        return alice, bob, alice.create_chat(bob), bob.create_chat(alice)

    def ping_pong(alice: Account, bob: Account, there: Any, back: Any) -> None:
        text = secrets.token_hex(4)
        there.send_text(text)
        received(bob, {text})
        back.send_text(text)
        received(alice, {text})

    def ten(_: Account, bob: Account, there: Any, __: Any) -> None:
        texts = [secrets.token_hex(4) for _ in range(10)]
        for text in texts:
            there.send_text(text)
        received(bob, set(texts))

    two = pair()
    return {
        "autoconfig_and_idle_ready": ready,
        "ping_pong": [timed(partial(ping_pong, *two))[0] for _ in range(times)],
        # New users each time, because core slows down after several consecutive messages.
        "send_10_receive_10": [timed(partial(ten, *pair()))[0] for _ in range(times)],
    }


def measure(relay: Relay, times: int) -> dict[str, list[float]]:
    """Measure everything: the wire `2 * times` times, core `times` times."""
    found: dict[str, list[float]] = {}
    for name, step in wire(relay).items():
        found[name] = []
        for _ in range(2 * times):
            seconds, hang_up = timed(step)
            found[name].append(seconds)
            hang_up()
    with tempfile.TemporaryDirectory() as place, deltachat.core(Path(place)) as core:
        return found | chat(core, relay, times)


if __name__ == "__main__":
    [here] = [relay for relay in Lab().relays() if relay.domain == sys.argv[1]]
    print(json.dumps(measure(here, int(sys.argv[2]))))
