"""
Distant clients: a command for which a relay's name leads to an address with added latency.

The kernel may have no netem. So a proxy among the clients delays the data (`harness.delay`), and an
/etc/hosts in the command's own mount namespace points to it.
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
    """Return the command prefix that makes the relay `round_trip` seconds away."""
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
