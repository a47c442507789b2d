"""
Decides whether the relay accepts a new account right now.

The same check runs before a name is handed out and before an account is created. So a name that was
handed out is hardly ever refused. Changes by the operator take effect immediately.
"""

import time
from collections.abc import Callable

from chatmaild import admission
from chatmaild.admission import Pressure
from chatmaild.config import Config

SECONDS_PER_HOUR = 3600


class HourlyBudget:
    """
    The hourly limit on new accounts of the whole relay, refilled evenly; 0 means no limit.

    The full limit is available as a burst. A first login reveals no network, so a limit per network
    cannot stop an attacker who creates accounts by logging in. Without this limit the disk would
    fill up to `admission.minFreeDisk` within hours, and the relay would refuse new accounts until
    the unused ones expire, months later. With it, the outage lasts as long as the attack.
    """

    def __init__(self, per_hour: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start full."""
        self._per_hour = per_hour
        self._clock = clock
        self._left = float(per_hour)
        self._at = clock()

    def has_one(self) -> bool:
        """Return whether an account may be created now."""
        now = self._clock()
        grown = (now - self._at) * self._per_hour / SECONDS_PER_HOUR
        self._left = min(self._left + grown, float(self._per_hour))
        self._at = now
        return not self._per_hour or self._left >= 1

    def take(self) -> None:
        """Count a created account."""
        self._left -= 1


class Door:
    """Decides whether registration is open, closed, or paused for lack of resources."""

    def __init__(
        self, config: Config, pressure: Callable[[], Pressure | None], budget: HourlyBudget
    ) -> None:
        """Call `pressure` for each decision; the operator's stop is a file."""
        self._config = config
        self._pressure = pressure
        self._budget = budget

    def closed(self) -> bool:
        """Return whether the setting or the operator's stop closes registration."""
        return self._config.registration == "closed" or admission.nocreate(
            self._config.paths.nocreate
        )

    @property
    def invited_only(self) -> bool:
        """Whether an account needs an invite."""
        return self._config.registration == "invite"

    def crowded(self) -> str | None:
        """Return what is short, as a word for counters, or None."""
        if pressure := self._pressure():
            return pressure.value
        return None if self._budget.has_one() else "rate"

    def made(self) -> None:
        """Count a created account."""
        self._budget.take()
