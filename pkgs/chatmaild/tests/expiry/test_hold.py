from pathlib import Path

import pytest

from chatmaild.expiry import hold
from chatmaild.expiry.hold import Hold

TODAY = 20_000


@pytest.mark.parametrize("away", [0, 1, 3])
def test_a_relay_that_runs_every_night_does_not_pause(away: int) -> None:
    """One or two missed runs do not count as an absence."""
    assert hold.decide(Hold(TODAY - away, TODAY - 100), TODAY) == Hold(TODAY, TODAY - 100)


@pytest.mark.parametrize(
    "last",
    [
        None,
        Hold(TODAY - 4, TODAY - 100),
        Hold(TODAY - 400, TODAY - 500),
        Hold(TODAY + 1, TODAY - 100),  # during the last run, the clock was ahead
        Hold(TODAY - 1, TODAY + 3650),  # the clock was ahead when this pause began
    ],
)
def test_a_relay_that_was_away_waits_a_week(last: Hold | None) -> None:
    """Meanwhile users could not fetch their mail or log in."""
    assert hold.decide(last, TODAY) == Hold(TODAY, TODAY + 7)


def test_the_pause_ends_after_a_week() -> None:
    """Nightly runs during the week do not prolong it."""
    note = hold.decide(None, TODAY)
    for day in range(TODAY, TODAY + 8):
        note = hold.decide(note, day)

    assert note == Hold(TODAY + 7, TODAY + 7)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"last_run_day": 1}', "[" * 100_000])
def test_an_unreadable_note_counts_as_none(tmp_path: Path, text: str) -> None:
    """A pause is the safe choice."""
    note = tmp_path / "expiry-hold.json"
    assert hold.read(note) is None
    note.write_text(text)

    assert hold.read(note) is None


def test_a_note_is_read_as_it_was_written(tmp_path: Path) -> None:
    """The note survives from one run to the next."""
    hold.write(tmp_path / "expiry-hold.json", Hold(1, 2))

    assert hold.read(tmp_path / "expiry-hold.json") == Hold(1, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["expiry-hold.json"]
