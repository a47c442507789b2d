from chatmaild.accounts.door import HourlyBudget


class Clock:
    """The time, as the test says."""

    now = 1000.0

    def __call__(self) -> float:
        """Say it."""
        return self.now


def made(budget: HourlyBudget, wanted: int) -> int:
    """Make accounts until there are no more, or enough."""
    count = 0
    while count < wanted and budget.has_one():
        budget.take()
        count += 1
    return count


def test_a_relay_makes_so_many_accounts_an_hour() -> None:
    """All of them at once for a class, then as they grow back."""
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
    """As with the other limits of this kind."""
    assert made(HourlyBudget(0, Clock()), 5000) == 5000
