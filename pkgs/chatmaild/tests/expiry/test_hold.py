from pathlib import Path

import pytest

from chatmaild.expiry import hold
from chatmaild.expiry.hold import Hold

TODAY = 20_000


@pytest.mark.parametrize("away", [0, 1, 3])
def test_a_relay_that_runs_every_night_holds_nothing_back(away: int) -> None:
    """A night or two missed are no absence."""
    assert hold.decide(Hold(TODAY - away, TODAY - 100), TODAY) == Hold(TODAY, TODAY - 100)


@pytest.mark.parametrize(
    "last",
    [
        None,
        Hold(TODAY - 4, TODAY - 100),
        Hold(TODAY - 400, TODAY - 500),
        Hold(TODAY + 1, TODAY - 100),  # the last run believed a clock that was ahead
        Hold(TODAY - 1, TODAY + 3650),  # so did the one that began this hold
    ],
)
def test_a_relay_that_was_away_waits_a_week(last: Hold | None) -> None:
    """Its people could not fetch their mail nor log in meanwhile."""
    assert hold.decide(last, TODAY) == Hold(TODAY, TODAY + 7)


def test_a_week_of_patience_ends() -> None:
    """Nightly runs within the week do not prolong it."""
    note = hold.decide(None, TODAY)
    for day in range(TODAY, TODAY + 8):
        note = hold.decide(note, day)

    assert note == Hold(TODAY + 7, TODAY + 7)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"last_run_day": 1}', "[" * 100_000])
def test_a_note_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    """Patience is the safe side."""
    note = tmp_path / "expiry-hold.json"
    assert hold.read(note) is None
    note.write_text(text)

    assert hold.read(note) is None


def test_a_note_is_read_as_it_was_written(tmp_path: Path) -> None:
    """From one night to the next."""
    hold.write(tmp_path / "expiry-hold.json", Hold(1, 2))

    assert hold.read(tmp_path / "expiry-hold.json") == Hold(1, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["expiry-hold.json"]
