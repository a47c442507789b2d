"""A relay that tests break, the names of its parts, and how to stop, kill and talk to them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.relay import Relay

DOMAIN = "_faults.test"
SETTINGS = {"sending": {"perMinute": 100000, "burst": 100000}, "connections": {"perAddress": 200}}
CONFIG = "/etc/chatmail/chatmaild.json"
FILTER = "chatmail-filter.service"
ACCOUNTS = "chatmail-accounts.service"
WEB = "chatmail-web.service"
ACCOUNTS_WHOLE = ("chatmail-accounts-grant.socket", "chatmail-accounts-dict.socket", ACCOUNTS)
BACK_SECONDS = 10

# Sends standard input to the UNIX socket named by the first argument, and prints the answer.
TALK = """
import socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(10)
peer.connect(sys.argv[1])
answer = b""
try:
    words = sys.stdin.buffer.read()
    peer.sendall(words)
    # Who asks to be hung up on stays until then: a server takes half a connection for none.
    if b"Connection: close" not in words:
        peer.shutdown(socket.SHUT_WR)
except (BrokenPipeError, ConnectionResetError):
    pass
try:
    while data := peer.recv(65536):
        answer += data
except ConnectionResetError:
    pass
sys.stdout.buffer.write(answer)
"""


@contextmanager
def stopped(relay: Relay, *units: str) -> Iterator[None]:
    """Keep units stopped for the length of a block."""
    relay.machine.run(["systemctl", "stop", *units])
    yield
    relay.machine.run(["systemctl", "start", *units])
    for unit in units:
        relay.machine.wait_for_unit(unit)


def pid(relay: Relay, unit: str) -> int:
    """Return the process ID of a unit's main process, or 0."""
    shown = relay.machine.run(["systemctl", "show", "-P", "MainPID", unit])
    return int(shown.out)


def kill(relay: Relay, unit: str) -> None:
    """Kill a unit's main process with SIGKILL."""
    relay.machine.run(["kill", "-9", str(pid(relay, unit))])


def queued(relay: Relay) -> list[dict[str, object]]:
    """Return the messages in Postfix' queue (postqueue(1), -j)."""
    return [json.loads(line) for line in relay.machine.run(["postqueue", "-j"]).out.splitlines()]


def deliver_now(relay: Relay) -> None:
    """Let Postfix try to deliver all queued mail now."""
    relay.machine.run(["postqueue", "-f"])


def talk(relay: Relay, socket: str, words: bytes) -> bytes:
    """Send data to a UNIX socket of the relay; return the answer until it closes."""
    path = relay.value.daemons["paths"][socket]
    return relay.machine.run(["python3", "-c", TALK, path], input=words).out.encode()
