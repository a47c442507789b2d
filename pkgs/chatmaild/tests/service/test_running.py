import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chatmaild.service.running import Service, running

type Block = Callable[[Service], Awaitable[None]]


class Part:
    """A closable part that records when it is closed."""

    def __init__(self, name: str, ended: list[str]) -> None:
        """Record the name in `ended`."""
        self._name = name
        self._ended = ended

    async def close(self) -> None:
        """Record it."""
        self._ended.append(self._name)


def run(block: Block) -> None:
    """Run a daemon with this block until it stops."""

    async def whole() -> None:
        async with asyncio.timeout(10), running() as service:
            await block(service)

    asyncio.run(whole())


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return what systemd has been told so far."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "notify"))
    listener.setblocking(False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

    def told() -> list[str]:
        found = []
        while True:
            try:
                found.append(listener.recv(4096).decode())
            except BlockingIOError:
                listener.close()
                return found

    return told


def test_parts_end_in_reverse_order(
    told: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    """A part may use earlier ones to its end. systemd is notified of start and end."""
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("chore")

    async def block(service: Service) -> None:
        service.closing(Part("book", ended))
        service.background(forever())
        service.closing(Part("proxy", ended))
        service.counters.add("signed")
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)

    with caplog.at_level(logging.INFO):
        run(block)

    assert ended == ["proxy", "chore", "book"]
    assert told() == ["READY=1", "STOPPING=1"]
    assert [record.getMessage() for record in caplog.records] == [
        "ready",
        "since start: signed=1",
    ]


def test_a_failed_start_ends_the_started_parts(told: Callable[[], list[str]]) -> None:
    """The daemon does not report readiness, and closes the book."""
    ended: list[str] = []

    async def block(service: Service) -> None:
        service.closing(Part("book", ended))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(block)

    assert ended == ["book"]
    assert told() == []


def test_a_chore_that_fails_ends_the_daemon(caplog: pytest.LogCaptureFixture) -> None:
    """Systemd restarts it; without the chore it would keep running half-alive."""

    async def fails() -> None:
        raise ZeroDivisionError

    async def block(service: Service) -> None:
        service.background(fails())

    run(block)

    assert "a part of the daemon has failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_its_own_socket_is_removed_first(tmp_path: Path) -> None:
    """Dovecot waits seconds for a socket file without a listener, but not for a missing one."""
    path = tmp_path / "own.sock"
    there: list[bool] = []

    async def look() -> None:
        there.append(path.exists())

    async def block(service: Service) -> None:
        async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        await service.stream("own", path, connected)
        assert path.is_socket()
        service.at_end(look)
        service.stop.set()

    run(block)

    assert there == [False]
