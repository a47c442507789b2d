"""A limited number of threads computes at once, and small messages do not wait for large ones."""

import threading
from collections.abc import Callable

import pytest

from chatmaild.filter.turns import Turns

SECONDS = 20.0


class Workers:
    """Threads that take a turn, report it, and hold it until released."""

    def __init__(self, turns: Turns) -> None:
        """Start without threads."""
        self.turns = turns
        self.began: list[str] = []
        self.changed = threading.Condition()
        self.go_on = {name: threading.Event() for name in "abcdef"}
        self.threads: list[threading.Thread] = []

    def start(self, name: str, size: int, wait: Callable[[], None] | None = None) -> None:
        """Start one; with `wait` it pauses in the middle, as for the DNS."""

        def work() -> None:
            with self.turns.turn(size):
                if wait:
                    with self.turns.released():
                        wait()
                with self.changed:
                    self.began.append(name)
                    self.changed.notify_all()
                assert self.go_on[name].wait(SECONDS)

        thread = threading.Thread(target=work)
        self.threads.append(thread)
        thread.start()

    def wait_for(self, names: str) -> None:
        """Wait until exactly these have begun, in this order."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.began) >= len(names), SECONDS)
            assert "".join(self.began) == names

    def end(self) -> None:
        """Let all of them finish."""
        for event in self.go_on.values():
            event.set()
        for thread in self.threads:
            thread.join(SECONDS)
            assert not thread.is_alive()


@pytest.fixture
def workers() -> Workers:
    """Provide two turns, with a clock that stands still."""
    return Workers(Turns(2, clock=lambda: 0.0))


def queued(turns: Turns, count: int) -> None:
    """Wait until this many threads wait for their turn."""
    deadline = threading.Event()
    for _ in range(int(SECONDS * 1000)):
        if len(turns._waiting) == count:
            return
        deadline.wait(0.001)
    raise AssertionError(turns._waiting)


def test_no_more_than_the_limit_compute_at_once(workers: Workers) -> None:
    """Few threads compete with the one that answers Postfix."""
    for name in "abc":
        workers.start(name, 1)
    with workers.changed:
        assert workers.changed.wait_for(lambda: len(workers.began) == 2, SECONDS)
    queued(workers.turns, 1)
    assert len(workers.began) == 2
    workers.go_on[workers.began[0]].set()
    with workers.changed:
        assert workers.changed.wait_for(lambda: len(workers.began) == 3, SECONDS)
    workers.end()


def test_the_smallest_goes_next(workers: Workers) -> None:
    """Otherwise a few of the largest messages would delay all mail."""
    workers.start("a", 0)
    workers.wait_for("a")
    workers.start("b", 0)
    workers.wait_for("ab")
    for number, (name, size) in enumerate({"c": 30_000_000, "d": 500_000, "e": 3_000}.items(), 1):
        workers.start(name, size)
        queued(workers.turns, number)
    for name, order in (("a", "abe"), ("b", "abed"), ("e", "abedc")):
        workers.go_on[name].set()
        workers.wait_for(order)
    workers.end()


def test_a_large_message_does_not_wait_forever() -> None:
    """It waits for smaller ones of the same time, not for all that follow."""
    now = [0.0]
    workers = Workers(Turns(1, clock=lambda: now[0]))
    workers.start("a", 0)
    workers.wait_for("a")
    workers.start("b", 5_000_000)
    queued(workers.turns, 1)
    for at, name in ((4.0, "c"), (6.0, "d")):
        now[0] = at
        workers.start(name, 0)
        queued(workers.turns, 2 if name == "c" else 3)
    for name, order in (("a", "ac"), ("c", "acb"), ("b", "acbd")):
        workers.go_on[name].set()
        workers.wait_for(order)
    workers.end()


def test_waiting_for_the_dns_releases_the_turn(workers: Workers) -> None:
    """Otherwise two messages and a silent name server would stop all incoming mail."""
    answer = threading.Event()

    def wait() -> None:
        assert answer.wait(SECONDS)

    for name in "abc":
        workers.start(name, 0, wait)
    workers.start("d", 0)
    workers.wait_for("d")
    answer.set()
    workers.end()

    assert sorted(workers.began) == ["a", "b", "c", "d"]


def test_a_turn_is_given_back_after_a_fault(workers: Workers) -> None:
    """Also after a fault while the thread waits."""

    def fail() -> None:
        raise OSError

    for _ in range(3):
        with pytest.raises(OSError, match=""), workers.turns.turn(0):
            raise OSError
        with pytest.raises(OSError, match=""), workers.turns.turn(0), workers.turns.released():
            fail()
    with workers.turns.released():  # by a thread that has none
        workers.start("a", 0)
        workers.wait_for("a")
    workers.end()
    assert workers.turns._free == 2
