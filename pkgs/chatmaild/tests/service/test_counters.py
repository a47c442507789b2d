"""Counting events by name and labels, from all threads and for any client."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import chatmaild
from chatmaild.service import counters, sockets
from chatmaild.service.counters import Counters, CountersError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a free path for a socket."""
    return tmp_path / "numbers.sock"


@contextmanager
def answering(place: Path, counted: Counters) -> Iterator[None]:
    """Serve the counters of a daemon."""
    loop = asyncio.new_event_loop()
    listener = sockets.listener("numbers", place, {})
    start = asyncio.start_unix_server(counters.answering(counted), sock=listener)
    server = loop.run_until_complete(start)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_the_log_has_one_line() -> None:
    """The line has all counters and no personal data."""
    counted = Counters()
    assert counted.report() == "since start: nothing"
    for labels in (("incoming", "dkim-missing"), ("incoming", "dkim-missing"), ()):
        counted.add("refused", *labels)
    counted.add("sent", count=5)

    assert counted.report() == "since start: refused=1 refused.incoming.dkim-missing=2 sent=5"


def test_loses_no_event_between_threads() -> None:
    """The filter handles messages on many threads."""
    counted = Counters()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: counted.add("signed"), range(2000)))

    assert counted.rows() == [("signed", 2000)]


def test_each_request_gets_the_current_values(place: Path) -> None:
    """Counting continues meanwhile."""
    counted = Counters()
    counted.add("signed")
    with answering(place, counted):
        assert counters.read(place) == {"counts": [["signed", 1]]}
        counted.add("signed")
        assert counters.read(place) == {"counts": [["signed", 2]]}


def test_a_disconnected_client_does_no_harm(place: Path) -> None:
    """The next client gets an answer."""
    with answering(place, Counters()):
        with socket.socket(socket.AF_UNIX) as rude:
            rude.connect(str(place))

        assert counters.read(place) == {"counts": []}


@pytest.mark.parametrize(
    "answer",
    [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 60_000, b" " * 200_000],
    ids=["empty", "half", "list", "no counters", "binary", "deep", "long"],
)
def test_an_invalid_answer_is_an_error(place: Path, answer: bytes) -> None:
    """The daemon may have another version, or have died halfway."""
    listener = sockets.listener("numbers", place, {})

    def reply() -> None:
        # The rest of a long answer is not read.
        with listener, listener.accept()[0] as connection, contextlib.suppress(BrokenPipeError):
            connection.sendall(answer)

    thread = threading.Thread(target=reply)
    thread.start()
    with pytest.raises(CountersError, match=r"numbers\.sock: "):
        counters.read(place)
    thread.join()


def test_a_missing_daemon_is_an_error(place: Path) -> None:
    """The daemon is down."""
    with pytest.raises(CountersError, match="No such file"):
        counters.read(place)


def test_the_version_is_the_packages() -> None:
    """It is in two places, because the package's metadata may be missing on a relay."""
    project = Path(__file__).parents[2] / "pyproject.toml"

    assert f'version = "{chatmaild.__version__}"' in project.read_text()
