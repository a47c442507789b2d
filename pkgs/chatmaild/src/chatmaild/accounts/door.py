"""
Whether the relay takes on a new account at this moment, whoever asks.

The same answer is given before a name is handed out and before an account is made, so that hardly
anybody gets a name that is then refused. What the operator changes works at once.
"""

import time
from collections.abc import Callable

from chatmaild import admission
from chatmaild.admission import Pressure
from chatmaild.config import Config

SECONDS_PER_HOUR = 3600


class HourlyBudget:
    """
    New accounts of the whole relay: `per_hour` at once, refilled evenly; 0 is no limit.

    A first login tells no network, so a limit per network cannot hold whoever makes accounts by
    logging in. Without one the disk fills up to `admission.minFreeDisk` within hours, and the relay
    takes nobody until those accounts have been idle for months; with one it is the attack's length.
    """

    def __init__(self, per_hour: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start full."""
        self._per_hour = per_hour
        self._clock = clock
        self._left = float(per_hour)
        self._at = clock()

    def has_one(self) -> bool:
        """Say whether an account may be made now."""
        now = self._clock()
        grown = (now - self._at) * self._per_hour / SECONDS_PER_HOUR
        self._left = min(self._left + grown, float(self._per_hour))
        self._at = now
        return not self._per_hour or self._left >= 1

    def take(self) -> None:
        """Count an account that was made."""
        self._left -= 1


class Door:
    """Open, closed, or too crowded right now."""

    def __init__(
        self, config: Config, pressure: Callable[[], Pressure | None], budget: HourlyBudget
    ) -> None:
        """Ask `pressure` each time; the operator's stop is a file."""
        self._config = config
        self._pressure = pressure
        self._budget = budget

    def closed(self) -> bool:
        """Say whether the operator wants no new accounts, by the setting or by the stop."""
        return self._config.registration == "closed" or admission.nocreate(
            self._config.paths.nocreate
        )

    @property
    def invited_only(self) -> bool:
        """Whether an account needs an invite."""
        return self._config.registration == "invite"

    def crowded(self) -> str | None:
        """Name what is short, in a word for counters, or None."""
        if pressure := self._pressure():
            return pressure.value
        return None if self._budget.has_one() else "rate"

    def made(self) -> None:
        """Count a new account."""
        self._budget.take()
