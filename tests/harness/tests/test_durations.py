"""A long run announces its duration."""

from __future__ import annotations

import pytest

from harness import durations


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget other runs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def told(capsys: pytest.CaptureFixture[str], *, complete: bool) -> str:
    """Return the first line of a run."""
    with durations.timed("everything", "about an hour") as run:
        run.complete = complete
    return capsys.readouterr().err.splitlines()[0]


def test_the_first_run_announces_the_usual_duration(capsys: pytest.CaptureFixture[str]) -> None:
    """New users want to know whether to wait."""
    assert told(capsys, complete=False) == "· everything: about an hour"
    assert told(capsys, complete=True) == "· everything: about an hour"


def test_later_runs_announce_the_last_complete_duration(capsys: pytest.CaptureFixture[str]) -> None:
    """The host may be slower than the one of the measurement."""
    told(capsys, complete=True)

    assert told(capsys, complete=True) == "· everything: 0 seconds last time on this host"


@pytest.mark.parametrize(("seconds", "text"), [(40.4, "40 seconds"), (880, "15 minutes")])
def test_durations_are_in_words(seconds: float, text: str) -> None:
    """Minutes are easier to read than hundreds of seconds."""
    assert durations.spoken(seconds) == text
