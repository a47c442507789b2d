import json
from pathlib import Path
from typing import Any

import pytest

from chatmaild.accounts.turn import ensure_secret, entry, main, password
from chatmaild.config import Turn, load


@pytest.fixture
def turn(settings: dict[str, Any], sections: dict[str, dict[str, Any]], tmp_path: Path) -> Turn:
    """Return a TURN server with files in the test's directory."""
    settings["metadata"]["turn"] = sections["turn"]
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    turn = load(path).metadata.turn
    assert turn
    turn.settings_file.write_text("listening-port=3478\n")
    return turn


def test_passwords_match_those_of_servers() -> None:
    """The value is that of `openssl dgst -sha1 -hmac north -binary | base64`."""
    assert password("north", "1795213297") == "7hpX1lgFfwkBQR9yTwxNc4NvY80="


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff", b"a\nb"])
def test_no_credentials_without_a_valid_secret(turn: Turn, content: bytes) -> None:
    """With an empty secret, anyone could compute credentials."""
    turn.secret_file.write_bytes(content)

    assert entry(turn, "alice@chat.example.org", 0) is None


def test_a_secret_is_created_once(turn: Turn) -> None:
    """A new secret at every start would interrupt all calls."""
    first = ensure_secret(turn.secret_file)

    assert len(first) >= 40
    assert ensure_secret(turn.secret_file) == first
    assert turn.secret_file.stat().st_mode & 0o777 == 0o640


def test_the_server_reads_its_settings_and_the_secret(tmp_path: Path, turn: Turn) -> None:
    """No other user can read the file, and no partial file remains."""
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
    """A unit that fails must give the reason."""
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))

    assert main(["--config", str(path)]) == 1
    assert "the configuration has no TURN server" in capsys.readouterr().err
