from chatmaild.accounts.door import HourlyBudget


class Clock:
    """A clock that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def made(budget: HourlyBudget, wanted: int) -> int:
    """Create accounts until the limit or this number is reached."""
    count = 0
    while count < wanted and budget.has_one():
        budget.take()
        count += 1
    return count


def test_the_hourly_limit_is_available_at_once() -> None:
    """A class can use the whole limit at once; then it is refilled evenly."""
    clock = Clock()
    budget = HourlyBudget(60, clock)

    assert made(budget, 1000) == 60
    clock.now += 59
    assert made(budget, 1000) == 0
    clock.now += 121
    assert made(budget, 1000) == 3
    clock.now += 100_000
    assert made(budget, 1000) == 60


def test_zero_is_no_limit() -> None:
    """The other limits of this kind work in the same way."""
    assert made(HourlyBudget(0, Clock()), 5000) == 5000
