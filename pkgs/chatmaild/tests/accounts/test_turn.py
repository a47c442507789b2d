import json
from pathlib import Path
from typing import Any

import pytest

from chatmaild.accounts.turn import ensure_secret, entry, main, password
from chatmaild.config import Turn, load


@pytest.fixture
def turn(settings: dict[str, Any], sections: dict[str, dict[str, Any]], tmp_path: Path) -> Turn:
    """Hand over a TURN server whose files are the test's."""
    settings["metadata"]["turn"] = sections["turn"]
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    turn = load(path).metadata.turn
    assert turn
    turn.settings_file.write_text("listening-port=3478\n")
    return turn


def test_a_password_is_the_one_that_servers_compute() -> None:
    """Computed with `openssl dgst -sha1 -hmac north -binary | base64` of the username."""
    assert password("north", "1795213297") == "7hpX1lgFfwkBQR9yTwxNc4NvY80="


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff", b"a\nb"])
def test_no_credential_is_made_with_what_is_no_secret(turn: Turn, content: bytes) -> None:
    """An empty secret would be one that everybody knows."""
    turn.secret_file.write_bytes(content)

    assert entry(turn, 0) is None


def test_a_secret_is_made_once_and_kept(turn: Turn) -> None:
    """A new one at every start would cut off the calls of everybody."""
    first = ensure_secret(turn.secret_file)

    assert len(first) >= 40
    assert ensure_secret(turn.secret_file) == first
    assert turn.secret_file.stat().st_mode & 0o777 == 0o640


def test_the_server_reads_its_settings_and_the_secret(tmp_path: Path, turn: Turn) -> None:
    """Nobody else reads that file, and nothing half written is left beside it."""
    before = set(tmp_path.iterdir())

    assert main(["--config", str(tmp_path / "chatmaild.json")]) == 0

    secret = turn.secret_file.read_text().strip()
    written = turn.server_file.read_text()
    assert written == f"listening-port=3478\nstatic-auth-secret={secret}\n"
    assert turn.server_file.stat().st_mode & 0o777 == 0o600
    made = {turn.secret_file, turn.server_file}
    assert set(tmp_path.iterdir()) == before | made


def test_says_what_is_missing(
    tmp_path: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A unit that fails must say why."""
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))

    assert main(["--config", str(path)]) == 1
    assert "the configuration has no TURN server" in capsys.readouterr().err
