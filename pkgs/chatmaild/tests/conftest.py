"""Fixtures: a valid configuration that a test may change, and an account book."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatmaild.book.accounts import Book

# The rendered configurations. A test in tests/data keeps this file up to date.
RENDERED: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("configurations.json").read_text()
)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Return the configuration of the smallest relay, with its files in the test's directory."""
    settings = copy.deepcopy(RENDERED["smallest"])
    settings["paths"] = {
        key: value if key == "authorities" else str(tmp_path / _file_name(key, value))
        for key, value in settings["paths"].items()
    }
    for key in settings["dkim"]:
        key["file"] = str(tmp_path / Path(key["file"]).name)
    settings["website"]["site"] = str(tmp_path / "site")
    settings["metadata"]["turn"] = None
    # Ignore the load of this host, and contact no other host.
    settings["admission"] = dict.fromkeys(settings["admission"], 0)
    settings["push"]["proxy"] = "http://127.0.0.1:9/notify"
    for name in ("revoked", "exceptions"):
        (tmp_path / name).mkdir()
    return settings


@pytest.fixture
def sections(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """
    Return the sections of optional parts: `echo`, `metrics`, `turn`.

    Their files are in the test's directory, each named after its key.
    """
    everything = copy.deepcopy(RENDERED["everything"])
    rendered = {
        "echo": everything["echo"],
        "metrics": everything["metrics"],
        "turn": everything["metadata"]["turn"],
    }
    for name, section in rendered.items():
        for key, value in section.items():
            if str(value).startswith("/"):
                section[key] = str(tmp_path / (f"{name}.sock" if key == "socket" else key))
    return rendered


def _file_name(key: str, path: str) -> str:
    """Return a unique name for a file that has its own directory on a relay."""
    name = key.removesuffix("Socket")
    return Path(path).name.removeprefix("chatmail-") if name == key else f"{name}.sock"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """Return a new, empty book."""
    book = Book.open(tmp_path / "accounts.sqlite", tmp_path / "mail")
    yield book
    book.close()
