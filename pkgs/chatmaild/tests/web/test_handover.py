"""The secret name by which Postfix recognises chatmail-web."""

from pathlib import Path

import pytest

from chatmaild.config import ConfigError
from chatmaild.web.handover import own_name


def test_the_name_is_created_once(tmp_path: Path) -> None:
    """Postfix reads it at its start, so a new name would shut chatmail-web out."""
    path = tmp_path / "helo"

    name = own_name(path)

    assert len(name) == 64
    assert own_name(path) == name
    assert path.read_text() == f"{name} OK\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_relay_has_its_own_name(tmp_path: Path) -> None:
    """Other hosts cannot know it."""
    assert own_name(tmp_path / "one") != own_name(tmp_path / "two")


@pytest.mark.parametrize("content", [b"", b"hello OK\n", b"\xff"])
def test_a_damaged_file_stops_the_start_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    """Otherwise mail by HTTPS would be refused without a reason."""
    path = tmp_path / "helo"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match="helo: "):
        own_name(path)
