import json
from pathlib import Path
from typing import Any

import pytest

from chatmaild.accounts.login import RESERVED_NAMES, Refusal, refuse_creation
from chatmaild.config import Config, load


@pytest.fixture
def config(tmp_path: Path, settings: dict[str, Any]) -> Config:
    """Return a configuration with names of 9 to 12 characters and passwords of 9."""
    settings["accounts"]["nameMaxLength"] = 12
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    return load(path)


@pytest.mark.parametrize(
    ("address", "password", "refusal"),
    [
        ("alice1234@chat.example.org", b"secret123", None),
        ("a.b-c_d12@chat.example.org", "pässwörd9".encode(), None),
        ("alice1234567@chat.example.org", b"secret123", None),
        ("alice1234@other.example", b"secret123", Refusal.FOREIGN_DOMAIN),
        ("alice1234@CHAT.example.org", b"secret123", Refusal.FOREIGN_DOMAIN),
        ("alice1234", b"secret123", Refusal.FOREIGN_DOMAIN),
        ("", b"secret123", Refusal.FOREIGN_DOMAIN),
        ("@chat.example.org", b"secret123", Refusal.BAD_NAME),
        ("Alice1234@chat.example.org", b"secret123", Refusal.BAD_NAME),
        ("alice+tag@chat.example.org", b"secret123", Refusal.BAD_NAME),
        ("../../etc@chat.example.org", b"secret123", Refusal.BAD_NAME),
        ("a@b123456@chat.example.org", b"secret123", Refusal.BAD_NAME),
        ("alice1234\n@chat.example.org", b"secret123", Refusal.BAD_NAME),
        ("alice\uff11\uff12\uff13\uff14@chat.example.org", b"secret123", Refusal.BAD_NAME),
        (".alice123@chat.example.org", b"secret123", Refusal.BAD_NAME),
        ("alice123.@chat.example.org", b"secret123", Refusal.BAD_NAME),
        ("alice..12@chat.example.org", b"secret123", Refusal.BAD_NAME),
        ("alice123@chat.example.org", b"secret123", Refusal.NAME_LENGTH),
        ("alice12345678@chat.example.org", b"secret123", Refusal.NAME_LENGTH),
        ("alice1234@chat.example.org", b"secret12", Refusal.PASSWORD_LENGTH),
        ("alice1234@chat.example.org", "ääääääää".encode(), Refusal.PASSWORD_LENGTH),
        ("alice1234@chat.example.org", b"", Refusal.PASSWORD_LENGTH),
        ("alice1234@chat.example.org", b"x" * 73, Refusal.UNUSABLE_PASSWORD),
        ("alice1234@chat.example.org", b"secret\x00123", Refusal.UNUSABLE_PASSWORD),
        ("webmaster@chat.example.org", b"secret123", Refusal.RESERVED_NAME),
    ],
)
def test_creates_only_what_the_relay_allows(
    config: Config, address: str, password: bytes, refusal: Refusal | None
) -> None:
    """Any input of a stranger either creates a proper account or none."""
    assert refuse_creation(address, password, config) is refusal


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_reserves_names_that_represent_the_domain(config: Config, name: str) -> None:
    """A user who reads mail to postmaster could get a certificate for the domain."""
    refusal = refuse_creation(f"{name}@chat.example.org", b"secret123", config)

    assert refusal is Refusal.RESERVED_NAME
