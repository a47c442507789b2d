"""The bot checks often after a change, and rarely in quiet times."""

from chatmaild.echo.backoff import LONGEST_SECONDS, Backoff


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def waits(pace: Backoff, clock: Clock, times: int) -> list[float]:
    """Check whenever it is due, without changes; return the intervals in seconds."""
    seen = []
    for _ in range(times):
        seen.append(pace.left())
        clock.now += pace.left()
        assert pace.left() == 0
        pace.looked(changed=False)
    return seen


def test_checks_less_and_less_often() -> None:
    """Each check compares a password, which is expensive on a small machine."""
    clock = Clock()

    assert waits(Backoff(clock), clock, 8) == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_change_is_followed_soon() -> None:
    """An operator who blocks the wrong address unblocks it a moment later."""
    clock = Clock()
    pace = Backoff(clock)
    waits(pace, clock, 8)

    clock.now += LONGEST_SECONDS
    pace.looked(changed=True)

    assert waits(pace, clock, 3) == [1, 2, 4]


def test_many_events_trigger_one_check() -> None:
    """However many events core sends, the bot asks at most once a second."""
    clock = Clock()
    pace = Backoff(clock)
    waits(pace, clock, 8)

    pace.hurry()
    assert pace.left() == 1
    clock.now += 0.5
    pace.hurry()
    assert pace.left() == 0.5
    clock.now += 60
    pace.hurry()
    assert pace.left() == 0
