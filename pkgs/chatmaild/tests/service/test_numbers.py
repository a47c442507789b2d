"""One answer for each connection."""

import contextlib
import socket
import threading
from pathlib import Path

import pytest

import chatmaild
from chatmaild.service import numbers, sockets


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Hand over a free path for a socket."""
    return tmp_path / "numbers.sock"


def test_each_question_gets_what_holds_now(place: Path) -> None:
    """Counters go on while somebody asks."""
    told = {"signed": 1}
    numbers.tell_forever(sockets.listener("numbers", place, {}), lambda: told)

    assert numbers.ask(place) == {"signed": 1}
    told["signed"] = 2
    assert numbers.ask(place) == {"signed": 2}


def test_a_peer_that_hangs_up_ends_nothing(place: Path) -> None:
    """Whoever comes next is answered."""
    numbers.tell_forever(sockets.listener("numbers", place, {}), lambda: {"x": 1})
    with socket.socket(socket.AF_UNIX) as rude:
        rude.connect(str(place))

    assert numbers.ask(place) == {"x": 1}


@pytest.mark.parametrize(
    "answer",
    [b"", b"{", b"[]", b"\xff", b"[" * 60_000, b" " * 200_000],
    ids=["empty", "half", "list", "binary", "deep", "long"],
)
def test_what_is_no_answer_is_told_as_such(place: Path, answer: bytes) -> None:
    """A daemon of another version, or one that died half-way."""
    listener = sockets.listener("numbers", place, {})

    def reply() -> None:
        # Of what is too much the rest is not taken.
        with listener, listener.accept()[0] as connection, contextlib.suppress(BrokenPipeError):
            connection.sendall(answer)

    thread = threading.Thread(target=reply)
    thread.start()
    with pytest.raises(numbers.NumbersError, match=r"numbers\.sock: "):
        numbers.ask(place)
    thread.join()


def test_nobody_there_is_told_as_such(place: Path) -> None:
    """The daemon is down."""
    with pytest.raises(numbers.NumbersError, match="No such file"):
        numbers.ask(place)


def test_the_version_is_the_packages() -> None:
    """It stands in two places, because a relay need not have the package's metadata."""
    project = Path(__file__).parents[2] / "pyproject.toml"

    assert f'version = "{chatmaild.__version__}"' in project.read_text()
