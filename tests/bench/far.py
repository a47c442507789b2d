"""
Clients far away: a command that finds a relay's name at an address where everything is later.

The kernel may have no netem, so a proxy among the clients delays what passes (`harness.delay`), and
/etc/hosts, laid over in a mount namespace of the command's own, leads there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import network
from harness.relay import Relay

ADDRESS = network.address4(network.CLIENTS[-1])
ENTER = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


@contextmanager
def away(relay: Relay, round_trip: float, place: Path) -> Iterator[list[str]]:
    """Give the beginning of a command for which the relay is `round_trip` seconds away."""
    hosts = place / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n::1 localhost\n{ADDRESS} {relay.domain}\n")
    ports = [str(port) for port in relay.value.ports.values()]
    command = [sys.executable, "-m", "harness.delay", ADDRESS, relay.address]
    proxy = subprocess.Popen(
        [*command, str(round_trip * 1000), *ports], stdout=subprocess.PIPE, text=True
    )
    try:
        if proxy.stdout is None or proxy.stdout.readline() != "ready\n":
            raise ValueError("the delaying proxy did not start")
        private = ["unshare", "--mount", "--propagation", "private", "--"]
        yield [*private, "sh", "-c", ENTER, "sh", str(hosts)]
    finally:
        proxy.terminate()
        proxy.wait()
