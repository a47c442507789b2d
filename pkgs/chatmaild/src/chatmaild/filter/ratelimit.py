"""
How fast one account may send: the Generic Cell Rate Algorithm (ITU-T I.371, virtual scheduling).

Each account has a theoretical arrival time (TAT), one number. A message moves it forward by the
interval between two messages; a message is refused while the TAT lies further ahead than the burst
allows. Everything is in memory: a restart forgets who was fast, which costs at most one more burst.
"""

import threading

NOISE_SECONDS = 1e-6
"""What many additions of floats may be off by."""
SWEEP_MINIMUM = 1024
"""Accounts remembered before the first search for those that can be forgotten."""


class RateLimit:
    """
    Counts messages per account; safe to share between threads.

    `burst` messages pass at once, then `per_minute` each minute. Times are seconds of any monotonic
    clock. Memory holds only accounts that sent within the last `burst / per_minute` minutes.
    """

    def __init__(self, *, per_minute: int, burst: int) -> None:
        """Start with everybody at full budget; both numbers are at least 1."""
        self._interval = 60 / per_minute
        self._tolerance = self._interval * (burst - 1)
        self._arrival: dict[str, float] = {}
        self._sweep_at = SWEEP_MINIMUM
        self._lock = threading.Lock()

    def wait(self, account: str, now: float) -> float:
        """
        Count one message of `account` and return 0, or return how many seconds it must wait.

        A refused message is not counted.
        """
        with self._lock:
            arrival = max(self._arrival.get(account, now), now)
            if (excess := arrival - now - self._tolerance) > NOISE_SECONDS:
                return excess
            self._arrival[account] = arrival + self._interval
            if len(self._arrival) > self._sweep_at:
                self._sweep(now)
            return 0.0

    def __len__(self) -> int:
        """Count the accounts remembered."""
        return len(self._arrival)

    def _sweep(self, now: float) -> None:
        """Forget accounts at full budget; doubling the mark keeps the mean cost flat."""
        self._arrival = {who: when for who, when in self._arrival.items() if when > now}
        self._sweep_at = max(SWEEP_MINIMUM, 2 * len(self._arrival))
