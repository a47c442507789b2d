import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatmaild.admin.cli import main

ALICE = "alice1234@chat.example.org"


@pytest.fixture
def run(tmp_path: Path, settings: dict[str, Any]) -> Callable[..., int]:
    """Run the command with the current `settings`."""

    def run(*words: str) -> int:
        path = tmp_path / "chatmaild.json"
        path.write_text(json.dumps(settings))
        return main(["--config", str(path), *words])

    return run


def test_the_stop_is_a_file_that_stays(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Repeating a command changes nothing, and each command prints the new state."""
    for action, stopped in (("stop", True), ("stop", True), ("start", False), ("start", False)):
        assert run("registration", action, "--json") == 0

        assert json.loads(capsys.readouterr().out)["stopped"] is stopped
        assert (tmp_path / "nocreate").exists() is stopped


def test_the_stop_follows_no_link(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The directory belongs to the mailboxes' user, but the command runs as root."""
    (tmp_path / "nocreate").symlink_to(tmp_path / "elsewhere")

    assert run("registration", "stop") == 1

    assert not (tmp_path / "elsewhere").exists()
    assert "nocreate" in capsys.readouterr().err


@pytest.mark.parametrize("registration", ["open", "invite", "closed"])
def test_show_says_what_the_setting_means(
    run: Callable[..., int],
    settings: dict[str, Any],
    registration: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a sentence, because `invite` alone explains little."""
    settings["registration"] = registration

    assert run("registration", "show") == 0

    assert f"setting   {registration}: " in capsys.readouterr().out


@pytest.mark.parametrize("words", [["invites", "list"], ["accounts", "block", ALICE]])
def test_without_the_daemon_it_names_the_daemon(
    run: Callable[..., int], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, without a traceback."""
    assert run(*words) == 1

    assert "chatmail-accounts does not answer at" in capsys.readouterr().err
