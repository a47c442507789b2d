"""
A rate limit per key: the Generic Cell Rate Algorithm (ITU-T I.371, virtual scheduling).

Each key has a theoretical arrival time (TAT), one number. An event moves it forward by the interval
between two events. An event is refused while the TAT is further ahead than the burst allows.
Everything is in memory: a restart forgets it, which costs one more burst at most.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable

NOISE_SECONDS = 1e-6
"""The rounding error of many additions of floats."""
MAX_KEYS = 100_000


class RateLimit:
    """
    Limits the events of each key; may be shared by threads.

    `burst` events pass at once, then one in each `interval` (seconds of any monotonic clock). Only
    keys with recent events are in memory, up to `max_keys`; beyond that the one whose last event is
    the oldest is forgotten.
    """

    def __init__(self, interval: float, burst: int, max_keys: int = MAX_KEYS) -> None:
        """Start with every key at its full burst, which is at least 1."""
        self._interval = interval
        self._tolerance = interval * (burst - 1)
        self._max_keys = max_keys
        self._arrival: OrderedDict[Hashable, float] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, key: Hashable, now: float) -> float:
        """
        Count an event and return 0, or return how many seconds it must wait.

        A refused event is not counted.
        """
        with self._lock:
            seconds = self._excess(key, now)
            if not seconds:
                self._add(key, now)
            return seconds

    def peek(self, key: Hashable, now: float) -> float:
        """Return how many seconds an event must wait, without counting it."""
        with self._lock:
            return self._excess(key, now)

    def take(self, key: Hashable, now: float) -> None:
        """Count an event that has happened, allowed or not."""
        with self._lock:
            self._add(key, now)

    def __len__(self) -> int:
        """Return the number of keys in memory."""
        return len(self._arrival)

    def _excess(self, key: Hashable, now: float) -> float:
        excess = self._arrival.get(key, now) - now - self._tolerance
        return excess if excess > NOISE_SECONDS else 0.0

    def _add(self, key: Hashable, now: float) -> None:
        self._arrival[key] = max(self._arrival.get(key, now), now) + self._interval
        self._arrival.move_to_end(key)
        # The first keys are the least recent, so those at their full burst are found soon.
        while len(self._arrival) > self._max_keys or next(iter(self._arrival.values())) <= now:
            self._arrival.popitem(last=False)
