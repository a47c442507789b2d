"""
When the bot looks again how things stand: soon after a change, and ever less often.

What is blocked or deleted by mistake is put right within seconds, and whoever does it looks whether
the bot is back; what has stood for long will go on standing.
"""

import time
from collections.abc import Callable

SOONEST_SECONDS = 1.0
LONGEST_SECONDS = 30.0


class Pace:
    """The time of the next look: 1, 2, 4 … 30 s after the last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin as after a change that has just been seen."""
        self._clock = clock
        self._looked = clock()
        self._wait = SOONEST_SECONDS

    def left(self) -> float:
        """Return the seconds until the next look, 0 when it is due."""
        return max(0.0, self._looked + self._wait - self._clock())

    def looked(self, *, changed: bool) -> None:
        """Count from now: from the beginning after a change, else twice as long as before."""
        self._looked = self._clock()
        self._wait = SOONEST_SECONDS if changed else min(2 * self._wait, LONGEST_SECONDS)

    def hurry(self) -> None:
        """Something has happened: look as soon as after a change."""
        self._wait = SOONEST_SECONDS
