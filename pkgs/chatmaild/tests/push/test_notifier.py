import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chatmaild.book.accounts import Book
from chatmaild.book.thread import BookThread
from chatmaild.book.tokens import Tokens
from chatmaild.push.arrival_log import ArrivalLog
from chatmaild.push.notifier import CONNECTIONS, Arrivals, Notifier, pause
from chatmaild.push.proxy import Outcome
from chatmaild.service.counters import Counters
from counting import counted

TODAY = 20_000
ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"
SECONDS = 60


class FakeProxy:
    """Takes tokens, answers what it is told to."""

    def __init__(self) -> None:
        """Start as a proxy that works."""
        self.taken: list[str] = []
        self.outcome = Outcome.DONE
        self.open = asyncio.Event()
        self.open.set()
        self.under_way = 0
        self.most_under_way = 0

    async def post(self, token: str) -> tuple[Outcome, str]:
        """Take one."""
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.open.wait()
        await asyncio.sleep(0)
        self.under_way -= 1
        self.taken.append(token)
        return self.outcome, "HTTP status 500"


class Clock:
    """The time, as the test says."""

    def __init__(self) -> None:
        """Start in the middle of a day."""
        self.now = TODAY * 86400.0 + 40_000

    def __call__(self) -> float:
        """Say it."""
        return self.now


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """Hand over a book with Alice and her phone, and Bob without one."""
    book = Book.open(tmp_path / "accounts.sqlite", tmp_path / "mail")
    book.create(ALICE, "hash", TODAY)
    Tokens(book).add(ALICE, "alices-phone", TODAY)
    book.create(BOB, "hash", TODAY)
    return book


type Scene = Callable[[Notifier, FakeProxy, Clock], Awaitable[None]]


def play(book: Book, *scenes: Scene) -> dict[tuple[str | int, ...], int]:
    """Run each scene with a notifier of its own, as after a restart; return what was counted."""
    path = arrivals_beside(book)
    counters = Counters()
    clock = Clock()

    async def whole() -> None:
        thread = BookThread(book, lambda: TODAY)
        for scene in scenes:
            proxy = FakeProxy()
            log = ArrivalLog(path)
            notifier = Notifier(proxy.post, thread, log, counters, clock)
            work = asyncio.create_task(notifier.run())
            async with asyncio.timeout(SECONDS):
                await scene(notifier, proxy, clock)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        await thread.close()

    asyncio.run(whole())
    return counted(counters)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that a test can only look at."""
    while not condition():  # noqa: ASYNC110 - it sets no event
        await asyncio.sleep(0.005)


def arrivals_beside(book: Book) -> Path:
    """Return where the notifiers of a book note arrivals."""
    with book.reading() as connection:
        file = connection.execute("PRAGMA database_list").fetchone()[2]
    return Path(file).with_name("arrivals")


def waiting(book: Book) -> int:
    """Count what waits in the book."""
    with book.reading() as connection:
        count: int = connection.execute("SELECT count(*) FROM notifications").fetchone()[0]
    return count


def test_wakes_each_device_for_each_message(book: Book) -> None:
    """Two devices, two messages one after the other: four notifications."""
    Tokens(book).add(ALICE, "alices-tablet", TODAY)

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        for count in (2, 4):
            notifier.notify(ALICE)
            await until(lambda: len(proxy.taken) == count)  # noqa: B023 - awaited at once
        assert sorted(proxy.taken) == ["alices-phone"] * 2 + ["alices-tablet"] * 2

    assert play(book, scene)["push", "sent"] == 4


def test_nobody_without_a_token_is_told_of(book: Book) -> None:
    """The proxy learns nothing about people who did not ask for it."""

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        notifier.notify(BOB)
        notifier.notify(ALICE)
        await until(lambda: bool(proxy.taken))
        assert proxy.taken == ["alices-phone"]

    play(book, scene)


def test_one_that_has_not_left_covers_the_next_message(book: Book) -> None:
    """Behind a proxy that hangs, a device gets one more notification, not one per message."""

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        proxy.open.clear()
        for number in range(CONNECTIONS + 1):
            notifier.notify(ALICE)
            await until(lambda: proxy.under_way > min(number, CONNECTIONS - 1))  # noqa: B023
        for _more in range(100):
            notifier.notify(ALICE)
        await until(lambda: counted(notifier._counters).get(("push", "merged")) == 100)
        proxy.open.set()
        await until(lambda: len(proxy.taken) == CONNECTIONS + 1)

    assert play(book, scene)["push", "merged"] == 100


def test_a_failed_one_is_tried_again_later_and_later(book: Book) -> None:
    """1, 8, 64, 512 s, then hourly, for five hours: gentle to a proxy in trouble."""

    async def scene(notifier: Notifier, proxy: FakeProxy, clock: Clock) -> None:
        proxy.outcome = Outcome.FAILED
        start = clock.now
        notifier.notify(ALICE)
        tried: list[int] = []
        while True:
            await until(lambda: len(proxy.taken) > len(tried))
            tried.append(int(clock.now - start))
            await until(lambda: waiting(book) == 1 or len(tried) == 9)
            if len(tried) == 9:
                break
            # The notifier sleeps by the real clock: a put wakes it to look at the test's.
            clock.now += pause(len(tried))
            notifier._stored_news.set()
        assert tried == [0, 1, 9, 73, 585, 4185, 7785, 11385, 14985]
        await until(lambda: waiting(book) == 0)

    counts = play(book, scene)

    assert counts["push", "given-up"] == 1
    assert counts["push", "put-off"] == 8


def test_a_new_message_does_not_wait_for_an_old_ones_turn(book: Book) -> None:
    """The proxy may work again long before the next retry, and then nothing is left to retry."""

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        proxy.outcome = Outcome.FAILED
        notifier.notify(ALICE)
        await until(lambda: waiting(book) == 1)
        proxy.outcome = Outcome.DONE
        notifier.notify(ALICE)
        await until(lambda: waiting(book) == 0)
        assert proxy.taken == ["alices-phone"] * 2

    play(book, scene)


def test_what_is_not_done_survives_a_restart(book: Book) -> None:
    """Neither what failed, nor what is under way, nor what waits for a connection is lost."""
    for number in range(100):
        Tokens(book).add(BOB, f"bobs-phone-{number}", TODAY)
        book.create(f"more{number:05}@chat.example.org", "hash", TODAY)
        Tokens(book).add(f"more{number:05}@chat.example.org", f"more-{number}", TODAY)

    async def first(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        proxy.open.clear()
        for number in range(100):
            notifier.notify(f"more{number:05}@chat.example.org")
        await until(lambda: proxy.under_way == CONNECTIONS)

    async def second(_notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        await until(lambda: len(proxy.taken) == 100)
        assert len(set(proxy.taken)) == 100

    play(book, first, second)


def test_one_that_is_killed_leaves_what_it_had_not_told(book: Book) -> None:
    """Within the half second before anything is written to the book."""
    arrivals = arrivals_beside(book)

    async def killed(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        proxy.open.clear()
        notifier.notify(ALICE)
        await until(lambda: proxy.under_way == 1)
        assert waiting(book) == 0
        left.append(arrivals.read_bytes())
        proxy.open.set()
        await until(lambda: proxy.taken == ["alices-phone"])

    async def after(_notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        await until(lambda: proxy.taken == ["alices-phone"])
        await until(lambda: arrivals.read_bytes() == b"")

    async def between(_notifier: Notifier, _proxy: FakeProxy, _: Clock) -> None:
        # As if it had ended there: a process that is killed does nothing more.
        arrivals.write_bytes(left[0])

    left: list[bytes] = []
    play(book, killed, between, after)
    assert left == [f"{ALICE}\n".encode()]


def test_nobody_is_noted_longer_than_needed(book: Book) -> None:
    """Told or in the book, either way the file in memory names nobody."""
    arrivals = arrivals_beside(book)

    async def scene(notifier: Notifier, proxy: FakeProxy, clock: Clock) -> None:
        notifier.notify(ALICE)
        notifier.notify(BOB)
        await until(lambda: proxy.taken == ["alices-phone"])
        await until(lambda: arrivals.read_bytes() == b"")
        proxy.open.clear()
        notifier.notify(ALICE)
        await until(lambda: proxy.under_way == 1)
        assert arrivals.read_bytes() != b""
        clock.now += 1
        await until(lambda: waiting(book) == 1)
        await until(lambda: arrivals.read_bytes() == b"")

    play(book, scene)


def test_a_slow_one_is_in_the_book_before_it_is_done(book: Book) -> None:
    """Then even a power cut does not lose it; and it leaves the book when the proxy has it."""

    async def scene(notifier: Notifier, proxy: FakeProxy, clock: Clock) -> None:
        proxy.open.clear()
        notifier.notify(ALICE)
        await until(lambda: proxy.under_way == 1)
        clock.now += 1
        await until(lambda: waiting(book) == 1)
        proxy.open.set()
        await until(lambda: waiting(book) == 0)

    play(book, scene)


def test_a_dead_token_is_forgotten(book: Book) -> None:
    """410 means that the app was removed or has another token now."""

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        proxy.outcome = Outcome.TOKEN_DEAD
        notifier.notify(ALICE)
        await until(lambda: not Tokens(book).of(ALICE, TODAY))

    assert play(book, scene)["push", "token-dead"] == 1


def test_ten_thousand_waiting_cost_less_than_50_mb(book: Book) -> None:
    """A proxy that hangs on a busy day, with the longest tokens: they wait on disk."""
    count = 10_000
    people = [f"{number:09}@chat.example.org" for number in range(count)]
    with book.writing() as connection:
        connection.executemany(
            "INSERT INTO accounts (address, password, created_day) VALUES (?, 'hash', 1)",
            [(one,) for one in people],
        )
        connection.executemany(
            "INSERT INTO device_tokens (address, token, set_day) VALUES (?, ?, ?)",
            [(one, one[:9] + "x" * 4087, TODAY) for one in people],
        )

    async def scene(notifier: Notifier, proxy: FakeProxy, clock: Clock) -> None:
        proxy.open.clear()
        before = resident()
        for one in people:
            notifier.notify(one)
        await until(lambda: waiting(book) + len(notifier._unsent) + CONNECTIONS == count)
        clock.now += 1
        await until(lambda: waiting(book) == count)
        grown = resident() - before
        print(f"{count} waiting notifications: {grown / 1e6:.1f} MB")
        assert grown < 50e6
        assert proxy.most_under_way == CONNECTIONS

        proxy.open.set()
        await until(lambda: len(proxy.taken) == count)

    play(book, scene)


def resident() -> int:
    """Read this process's resident memory, in bytes (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_notify_answers_at_once(book: Book) -> None:
    """A delivery waits for the caller."""

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        proxy.open.clear()
        start = time.perf_counter()
        for _more in range(1000):
            notifier.notify(ALICE)
        assert time.perf_counter() - start < 0.1

    play(book, scene)


def test_the_log_names_no_token(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    """It says once that the proxy fails, and once that it works again."""

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        caplog.set_level("INFO")
        proxy.outcome = Outcome.FAILED
        for count in (1, 2):
            notifier.notify(ALICE)
            await until(lambda: len(proxy.taken) == count)  # noqa: B023 - awaited at once
        proxy.outcome = Outcome.DONE
        notifier.notify(ALICE)
        await until(lambda: len(proxy.taken) == 3)

    play(book, scene)

    assert len(caplog.messages) == 2
    assert "HTTP status 500" in caplog.messages[0]
    assert "alice" not in caplog.text


def test_one_message_is_news_once() -> None:
    """Dovecot marks a message again when it has been copied to another recipient."""
    arrivals = Arrivals()

    assert arrivals.is_news(ALICE, "7 bob123456@chat.example.org")
    assert not arrivals.is_news(ALICE, "7 bob123456@chat.example.org")
    assert arrivals.is_news(ALICE, "8 bob123456@chat.example.org")
    assert arrivals.is_news(BOB, "8 carol@other.example")


def test_own_copies_are_no_news() -> None:
    """A client sends itself what it sends others, for its second device to see."""
    arrivals = Arrivals()

    assert not arrivals.is_news(ALICE, f"7 {ALICE}")
    assert not arrivals.is_news(ALICE, f"8 {ALICE.upper()}")


@pytest.mark.parametrize("mark", ["7 ", "7", ""])
def test_a_bounce_is_news(mark: str) -> None:
    """It has no sender, and says that a message did not arrive."""
    assert Arrivals().is_news(ALICE, mark)
