"""The messages in a relay's queue, why they wait, and the TLS level they need."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.process import wait_until
from people import messages

if TYPE_CHECKING:
    from harness.relay import Relay
    from people.people import Person

ASK = "socketmap:unix:/run/chatmail-tls/policy.sock:tls"


def level(relay: Relay, domain: str) -> str:
    """Return the TLS level for a domain; "" is the default, `verify`."""
    return relay.machine.run(["postmap", "-q", domain, ASK], check=False).out.strip()


def reasons(relay: Relay) -> dict[str, str]:
    """Return why queued messages wait: recipient -> reason."""
    lines = relay.machine.run(["postqueue", "-j"]).out.splitlines()
    return {
        one["address"]: one.get("delay_reason", "")
        for line in lines
        for one in json.loads(line)["recipients"]
    }


def send(person: Person, recipient: str) -> str:
    """Send an encrypted message; return its Message-ID."""
    message = messages.encrypted(person.address, recipient)
    person.send(message, recipient)
    return messages.id_of(message)


def deferred(relay: Relay, recipient: str) -> str:
    """Wait until a message is deferred; return the reason."""
    wait_until(
        lambda: bool(reasons(relay).get(recipient)), f"mail to {recipient} is put off", timeout=30
    )
    return reasons(relay)[recipient]


def empty_queue(relay: Relay) -> None:
    """Delete undeliverable mail, for the next test."""
    relay.machine.run(["postsuper", "-d", "ALL"])


def hurry(relay: Relay) -> None:
    """Let a relay give up after 15 s instead of two days, and retry every few seconds."""
    run = relay.machine.run
    run(["postconf", "-e", "queue_run_delay=2s", "minimal_backoff_time=3s"])
    run(["postconf", "-e", "maximal_backoff_time=3s", "delay_warning_time=5s"])
    run(["postconf", "-e", "maximal_queue_lifetime=15s", "bounce_queue_lifetime=15s"])
    run(["systemctl", "restart", "postfix"])
    relay.wait_ready()
