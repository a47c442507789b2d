"""
When the bot checks the state of its account again: soon after a change, then less and less often.

An operator who blocks or deletes the bot by mistake corrects this within seconds, and then checks
whether the bot is back. A state that has lasted for long will probably continue.
"""

import time
from collections.abc import Callable

SOONEST_SECONDS = 1.0
LONGEST_SECONDS = 30.0


class Backoff:
    """The time of the next check: 1, 2, 4 … 30 s after the last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start as if a change has just happened."""
        self._clock = clock
        self._looked = clock()
        self._wait = SOONEST_SECONDS

    def left(self) -> float:
        """Return the seconds until the next check, or 0 if it is due."""
        return max(0.0, self._looked + self._wait - self._clock())

    def looked(self, *, changed: bool) -> None:
        """Schedule the next check: after 1 s if there was a change, else after twice the wait."""
        self._looked = self._clock()
        self._wait = SOONEST_SECONDS if changed else min(2 * self._wait, LONGEST_SECONDS)

    def hurry(self) -> None:
        """Check as soon as after a change, because something has happened."""
        self._wait = SOONEST_SECONDS
