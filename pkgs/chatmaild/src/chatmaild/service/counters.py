"""
Counts events in a daemon, for its log and for chatmail-metrics.

chatmail-metrics connects to a UNIX socket and reads one JSON object to its end. The daemon reads
nothing from the client, so a client cannot send anything wrong.
"""

import asyncio
import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

READ_SECONDS = 5.0
ANSWER_SECONDS = 2.0
MAX_BYTES = 65_536


class CountersError(Exception):
    """The counters of a daemon cannot be read; the message is one sentence for the operator."""


class Counters:
    """
    Counts events by name and label values; threads may share it.

    A name is that of a metric without `chatmail_`, if there is one. Names and labels are constants
    in this package and never come from a message.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str, *labels: str, count: int = 1) -> None:
        """Count an event, or several."""
        with self._lock:
            self._counts[name, *labels] += count

    def rows(self) -> list[tuple[str | int, ...]]:
        """Return name, labels and count of everything that was counted."""
        with self._lock:
            return [(*key, number) for key, number in sorted(self._counts.items())]

    def report(self) -> str:
        """Return all counters in one line for the log."""
        rows = (f"{'.'.join(map(str, key))}={number}" for *key, number in self.rows())
        return f"since start: {' '.join(rows) or 'nothing'}"


Gauges = Callable[[], Awaitable[Mapping[str, Any]]]
Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(counters: Counters, gauges: Gauges | None = None) -> Connected:
    """Answer each connection with the counters and the result of `gauges`."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that does not read, or has gone, is not an error of this daemon.
        with contextlib.suppress(OSError, TimeoutError), contextlib.closing(writer):
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await gauges() if gauges else {}
                writer.write(json.dumps({"counts": counters.rows(), **found}).encode())
                await writer.drain()

    return answer


def read(path: Path) -> dict[str, Any]:
    """
    Return the counters of the daemon behind a socket.

    Raises:
        CountersError: there is no valid answer within five seconds.

    """
    received = b""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(READ_SECONDS)
            connection.connect(str(path))
            while len(received) <= MAX_BYTES and (part := connection.recv(MAX_BYTES)):
                received += part
        answer = json.loads(received)
    except (OSError, ValueError, RecursionError) as error:
        raise CountersError(f"{path}: {error}") from None
    if not isinstance(answer, dict) or "counts" not in answer:
        raise CountersError(f"{path}: the answer does not contain counters")
    return answer
