"""
The demonstration of `up`: two Delta Chat accounts write to each other; then how to use the relay.

It runs among the clients, in the clients' Python environment, as a separate command: `python -m
harness.show DOMAIN…`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote, urlencode

from harness.lab import Lab
from harness.relay import Relay


def talk(relay: Relay) -> None:
    """Let two new accounts exchange a message each way, and print the times."""
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


def local_login(relay: Relay, ports: dict[int, int]) -> str:
    """
    Return a `dclogin:` link to a new address that works on this host with its forwarded ports.

    `ic=3` accepts any certificate, because none is valid for 127.0.0.1.
    """
    address, password = relay.credentials()
    here = {
        "p": password,
        "v": "1",
        "ih": "127.0.0.1",
        "ip": str(ports[relay.value.ports["imaps"]]),
        "is": "ssl",
        "sh": "127.0.0.1",
        "sp": str(ports[relay.value.ports["submissions"]]),
        "ss": "ssl",
        "ic": "3",
    }
    return f"dclogin:{quote(address, safe='@[]')}?{urlencode(here)}"


def usage(relay: Relay, ports: dict[int, int]) -> str:
    """Explain how to use the relay: invite, ports, entering, logs, taking down."""
    name = relay.machine.name
    lines = []
    if ports:
        link = local_login(relay, ports)
        draw = "import sys; from chatmaild.admin import qr; print(qr.code(sys.argv[1]))"
        code = relay.machine.run(["python3", "-c", draw, link]).out.rstrip()
        lines = [f"A new address for a Delta Chat on this host:\n\n{link}\n{code}"]
        lines.append(f"\n{relay.domain} on this host:")
        services = {port: service for service, port in relay.value.ports.items()}
        lines += [
            f"  127.0.0.1:{listening}  {services[port]} ({port})"
            for port, listening in sorted(ports.items())
        ]
    lines += [
        "",
        f"the relay's own invite tests/lab enter {name} -- chatmail invite",
        f"enter the machine      tests/lab enter {name}",
        f"follow its logs        tests/lab logs {name} -f",
        f"ask how it is          tests/lab enter {name} -- chatmail status",
        "a shell among clients  tests/lab run",
        "take it down           tests/lab down",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
