"""
Who computes next, of the threads that judge messages.

As many threads as there are messages may wait for the DNS, but if all of them computed at once,
none would be done before the last, and the thread that answers Postfix would hardly run.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush

BYTES_PER_SECOND = 1_000_000
"""
How far a message stands behind one of no size: as if it had come that much later.

So small mail is done before large mail that came at the same time, and large mail is never put off
for long.
"""


class Turns:
    """So many threads at once, the smallest message first; safe to share between threads."""

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with all of them free."""
        self._free = count
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, threading.Lock]] = []
        self._number = 0
        self._held = threading.local()

    @contextmanager
    def turn(self, size: int) -> Iterator[None]:
        """Wait until it is the turn of a message of so many octets, and hold it for the block."""
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
        """Let others compute while this thread only waits; it keeps its place."""
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
