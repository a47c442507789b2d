import dataclasses
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatmaild.config import Config, Mailbox
from chatmaild.expiry.trimmer import Trimmer, home

from .boxes import Box

REQUEST = b"VERSION\tscript\t4\t0\nnoreply\nalice0000@chat.example.org\n\n"


@pytest.mark.parametrize(
    "address", ["", ".", "..", "../mail/a@b", "/etc@x", ".gone-a@b", "nobody@b", "link@b", "a\0@b"]
)
def test_touches_no_directory_other_than_mailboxes(tmp_path: Path, address: str) -> None:
    """The address passes through several programs before it becomes a path."""
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / ".gone-a@b").mkdir()
    (tmp_path / "mail" / "link@b").symlink_to(tmp_path)

    assert home(tmp_path / "mail", address) is None


@contextmanager
def served(config: Config, path: Path) -> Iterator[Path]:
    """Run a trimmer that exits after a short time without requests."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=Trimmer(config).serve, args=(listener, 0.3))
        thread.start()
        yield path
        thread.join(10)
        assert not thread.is_alive()


def ask(path: Path, request: bytes) -> None:
    """Send a request as Dovecot does, without waiting."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(request)


def test_trims_on_request_and_exits_when_idle(config: Config, tmp_path: Path) -> None:
    """An invalid request does not prevent the next one from being handled."""
    config = dataclasses.replace(config, mailbox=Mailbox(100_000, 1000, 75, 70))
    box = Box(config.paths.mailboxes)
    kept = {box.message(days, 10_000) for days in range(7)}
    box.message(8, 10_000)

    with served(config, tmp_path / "s") as path:
        ask(path, b"")
        ask(path, b"x" * 10_000 + b"\n\n")
        ask(path, REQUEST.replace(b"alice0000", b"nobody000"))
        ask(path, REQUEST)

    assert box.names() == kept


def test_a_flood_of_requests_is_handled_once(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each would scan a trimmed mailbox again, while other mailboxes wait."""
    trimmed = []
    monkeypatch.setattr(Trimmer, "trim", lambda _, address: trimmed.append(address))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        for request in (REQUEST, b"nonsense", REQUEST, REQUEST.replace(b"alice0000", b"bobby0000")):
            ask(tmp_path / "s", request)
        Trimmer(config).serve(listener, 0.1)

    assert sorted(trimmed) == ["alice0000@chat.example.org", "bobby0000@chat.example.org"]
