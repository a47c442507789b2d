"""
What `up` shows: two accounts of Delta Chat core talking through the relay, then how to use it.

The demonstration runs among the clients, in the clients' Python environment, as a command of its
own: `python -m harness.show DOMAIN…`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from harness.lab import Lab
from harness.relay import Relay


def talk(relay: Relay) -> None:
    """Let two new accounts exchange a message each way and print how long each took."""
    from harness import deltachat

    with tempfile.TemporaryDirectory() as place, deltachat.core(Path(place)) as core:
        start = time.monotonic()
        alice, bob = core.account(relay, "Alice"), core.account(relay, "Bob")
        print(f"  two accounts made and online: {time.monotonic() - start:.1f} s")
        first = deltachat.exchange(alice, bob)
        print(f"  Alice to Bob, encrypted: {first.there * 1000:.0f} ms")
        print(f"  Bob to Alice, encrypted: {first.back * 1000:.0f} ms", flush=True)


def main(domains: list[str]) -> int:
    """Run the demonstration for running relays."""
    relays = {relay.domain: relay for relay in Lab().relays()}
    for domain in domains:
        print(f"Delta Chat core through {domain}:", flush=True)
        try:
            talk(relays[domain])
        except Exception as problem:  # noqa: BLE001 (a person reads this, whatever core says)
            print(f"  {problem}", file=sys.stderr)
            return 1
    return 0


def usage(relay: Relay, ports: dict[int, int]) -> str:
    """Say how a person uses the relay: invite, ports, entering, logs, taking down."""
    invite = relay.chatmail("invite", check=False)
    lines = [invite.out.rstrip() if invite.status == 0 else f"(no invite: {invite.err.strip()})"]
    name = relay.machine.name
    if ports:
        lines.append(f"\n{relay.domain} on this host:")
        services = {port: service for service, port in relay.value.ports.items()}
        lines += [
            f"  127.0.0.1:{listening}  {services[port]} ({port})"
            for port, listening in sorted(ports.items())
        ]
    lines += [
        "",
        f"enter the machine      tests/lab enter {name}",
        f"follow its logs        tests/lab logs {name} -f",
        f"ask how it is          tests/lab enter {name} -- chatmail status",
        "a shell among clients  tests/lab run",
        "take it down           tests/lab down",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
