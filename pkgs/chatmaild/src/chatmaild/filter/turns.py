"""
Limits how many of the threads that judge messages compute at the same time.

Any number of threads may wait for the DNS. But if all computed at once, all would finish late,
and the thread that answers Postfix would hardly run.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush

BYTES_PER_SECOND = 1_000_000
"""
A message queues as if it had arrived later, by its size divided by this.

So small messages go before large ones that arrive at the same time, but large ones never wait for
long.
"""


class Turns:
    """Admits a number of threads at once, small messages first; can be shared between threads."""

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with `count` free turns."""
        self._free = count
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, threading.Lock]] = []
        self._number = 0
        self._held = threading.local()

    @contextmanager
    def turn(self, size: int) -> Iterator[None]:
        """Wait for the turn of a message of `size` octets, and hold the turn for the block."""
        place = self._clock() + size / BYTES_PER_SECOND
        self._take(place)
        self._held.place = place
        try:
            yield
        finally:
            del self._held.place
            self._give()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let other threads compute while this one waits; it keeps its place in the queue."""
        place = getattr(self._held, "place", None)
        if place is None:
            yield
            return
        self._give()
        try:
            yield
        finally:
            self._take(place)

    def _take(self, place: float) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            called = threading.Lock()
            called.acquire()
            self._number += 1
            heappush(self._waiting, (place, self._number, called))
        called.acquire()

    def _give(self) -> None:
        with self._lock:
            if self._waiting:
                heappop(self._waiting)[2].release()
            else:
                self._free += 1
