"""A long run says first how long it takes."""

from __future__ import annotations

import pytest

from harness import durations


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember nothing of other runs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def told(capsys: pytest.CaptureFixture[str], *, complete: bool) -> str:
    """Return the first line of a run."""
    with durations.timed("everything", "about an hour") as run:
        run.complete = complete
    return capsys.readouterr().err.splitlines()[0]


def test_the_first_run_goes_by_what_is_usual(capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody who tries the project wants to know whether to wait."""
    assert told(capsys, complete=False) == "· everything: about an hour"
    assert told(capsys, complete=True) == "· everything: about an hour"


def test_later_runs_go_by_the_last_complete_one(capsys: pytest.CaptureFixture[str]) -> None:
    """The host may be slower than the one that was measured."""
    told(capsys, complete=True)

    assert told(capsys, complete=True) == "· everything: 0 seconds last time on this host"


@pytest.mark.parametrize(("seconds", "text"), [(40.4, "40 seconds"), (880, "15 minutes")])
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    """Minutes are easier to read than hundreds of seconds."""
    assert durations.spoken(seconds) == text
