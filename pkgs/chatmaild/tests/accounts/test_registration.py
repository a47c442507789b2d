"""How many accounts the relay accepts in an hour."""

from typing import Any

from chatmaild.accounts.registration import RegistrationGate
from chatmaild.config import Config
from chatmaild.config_file import read


class Clock:
    """A clock that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def made(gate: RegistrationGate, wanted: int) -> int:
    """Create accounts until the limit or this number is reached."""
    count = 0
    while count < wanted and gate.shortage() is None:
        gate.created()
        count += 1
    return count


def test_the_hourly_limit_is_available_at_once(settings: dict[str, Any]) -> None:
    """A class can use the whole limit at once; then it is refilled evenly."""
    clock = Clock()
    settings["accounts"]["maxPerHour"] = 60
    gate = RegistrationGate(read(Config, settings), clock)

    assert made(gate, 1000) == 60
    assert gate.shortage() == "rate"
    clock.now += 59
    assert made(gate, 1000) == 0
    clock.now += 121
    assert made(gate, 1000) == 3
    clock.now += 100_000
    assert made(gate, 1000) == 60


def test_zero_is_no_limit(settings: dict[str, Any]) -> None:
    """The other limits of this kind work in the same way."""
    settings["accounts"]["maxPerHour"] = 0

    assert made(RegistrationGate(read(Config, settings), Clock()), 5000) == 5000
