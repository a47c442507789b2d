"""The bot looks often after a change and seldom in quiet times."""

from chatmaild.echo.pace import LONGEST_SECONDS, Pace


class Clock:
    """A clock that stands until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def waits(pace: Pace, clock: Clock, times: int) -> list[float]:
    """Look whenever it is due and nothing changes; the seconds between."""
    seen = []
    for _ in range(times):
        seen.append(pace.left())
        clock.now += pace.left()
        assert pace.left() == 0
        pace.looked(changed=False)
    return seen


def test_looks_ever_less_often() -> None:
    """Each look is a password compared, which a small machine feels."""
    clock = Clock()

    assert waits(Pace(clock), clock, 8) == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_change_is_looked_after_soon() -> None:
    """An operator who blocks the wrong address unblocks it in the next moment."""
    clock = Clock()
    pace = Pace(clock)
    waits(pace, clock, 8)

    clock.now += LONGEST_SECONDS
    pace.looked(changed=True)

    assert waits(pace, clock, 3) == [1, 2, 4]


def test_many_events_are_one_look() -> None:
    """Whatever core tells how often, it is no reason to ask more than once a second."""
    clock = Clock()
    pace = Pace(clock)
    waits(pace, clock, 8)

    pace.hurry()
    assert pace.left() == 1
    clock.now += 0.5
    pace.hurry()
    assert pace.left() == 0.5
    clock.now += 60
    pace.hurry()
    assert pace.left() == 0
