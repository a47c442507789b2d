"""A running chatmail-accounts."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.asking import Doveadm
from running import Daemon, start_daemon


@pytest.fixture
def start(tmp_path: Path, settings: dict[str, Any]) -> Iterator[Callable[[], Daemon]]:
    """Start the daemon with the current `settings`; it is ended with the test."""
    started: list[Daemon] = []

    def start() -> Daemon:
        config = tmp_path / "chatmaild.json"
        config.write_text(json.dumps(settings))
        started.append(start_daemon("chatmaild.accounts.daemon", tmp_path, config))
        return started[-1]

    yield start
    for daemon in started:
        daemon.kill()


@pytest.fixture
def daemon(start: Callable[[], Daemon]) -> Daemon:
    """Return a running daemon."""
    return start()


@pytest.fixture
def doveadm(tmp_path: Path) -> Iterator[Doveadm]:
    """Return a fake Dovecot that executes all commands."""
    doveadm = Doveadm(tmp_path / "doveadm.sock")
    yield doveadm
    doveadm.close()
