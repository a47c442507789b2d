import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from chatmaild.book.accounts import Book
from chatmaild.book.thread import BookThread
from chatmaild.book.tokens import Tokens
from chatmaild.push.arrival_log import ArrivalLog
from chatmaild.push.arrivals import Arrivals
from chatmaild.push.notifier import CONNECTIONS, Notifier, pause
from chatmaild.push.proxy import PushOutcome
from chatmaild.service.counters import Counters
from counting import counted

TODAY = 20_000
ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"
SECONDS = 60


class FakeProxy:
    """Accepts tokens and answers as the test says."""

    def __init__(self) -> None:
        """Start as a working proxy."""
        self.taken: list[str] = []
        self.outcome = PushOutcome.DONE
        self.open = asyncio.Event()
        self.open.set()
        self.under_way = 0
        self.most_under_way = 0

    async def post(self, token: str) -> tuple[PushOutcome, str]:
        """Accept a token."""
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.open.wait()
        await asyncio.sleep(0)
        self.under_way -= 1
        self.taken.append(token)
        return self.outcome, "HTTP status 500"


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        """Start in the middle of a day."""
        self.now = TODAY * 86400.0 + 40_000

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """Return a book with Alice and her phone, and Bob without a phone."""
    book = Book.open(tmp_path / "accounts.sqlite", tmp_path / "mail")
    book.create(ALICE, "hash", TODAY)
    Tokens(book).add(ALICE, "alices-phone", TODAY)
    book.create(BOB, "hash", TODAY)
    return book


type Scene = Callable[[Notifier, FakeProxy, Clock], Awaitable[None]]


def play(book: Book, *scenes: Scene) -> dict[tuple[str | int, ...], int]:
    """Run each scene with a new notifier, as after a restart; return the counters."""
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
    """Wait for a condition that has no event."""
    while not condition():  # noqa: ASYNC110 - it sets no event
        await asyncio.sleep(0.005)


def arrivals_beside(book: Book) -> Path:
    """Return the path where the notifiers of a book log arrivals."""
    with book.reading() as connection:
        file = connection.execute("PRAGMA database_list").fetchone()[2]
    return Path(file).with_name("arrivals")


def waiting(book: Book) -> int:
    """Return the number of queued notifications."""
    with book.reading() as connection:
        count: int = connection.execute("SELECT count(*) FROM notifications").fetchone()[0]
    return count


def test_wakes_each_device_for_each_message(book: Book) -> None:
    """Two devices and two consecutive messages make four notifications."""
    Tokens(book).add(ALICE, "alices-tablet", TODAY)

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        for count in (2, 4):
            notifier.notify(ALICE)
            await until(lambda: len(proxy.taken) == count)  # noqa: B023 - awaited at once
        assert sorted(proxy.taken) == ["alices-phone"] * 2 + ["alices-tablet"] * 2

    assert play(book, scene)["push", "sent"] == 4


def test_an_account_without_a_token_is_not_notified(book: Book) -> None:
    """The proxy learns nothing about users who did not ask for notifications."""

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        notifier.notify(BOB)
        notifier.notify(ALICE)
        await until(lambda: bool(proxy.taken))
        assert proxy.taken == ["alices-phone"]

    play(book, scene)


def test_an_unsent_notification_covers_the_next_message(book: Book) -> None:
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


def test_a_failed_notification_is_retried_with_growing_pauses(book: Book) -> None:
    """Retries after 1, 8, 64, 512 s and then hourly, for five hours, do not overload a proxy."""

    async def scene(notifier: Notifier, proxy: FakeProxy, clock: Clock) -> None:
        proxy.outcome = PushOutcome.FAILED
        start = clock.now
        notifier.notify(ALICE)
        tried: list[int] = []
        while True:
            await until(lambda: len(proxy.taken) > len(tried))
            tried.append(int(clock.now - start))
            await until(lambda: waiting(book) == 1 or len(tried) == 9)
            if len(tried) == 9:
                break
            # The notifier sleeps by the real clock. A put wakes it, so that it reads the test's
            # clock.
            clock.now += pause(len(tried))
            notifier._backlog.changed.set()
        assert tried == [0, 1, 9, 73, 585, 4185, 7785, 11385, 14985]
        await until(lambda: waiting(book) == 0)

    counts = play(book, scene)

    assert counts["push", "given-up"] == 1
    assert counts["push", "put-off"] == 8


def test_a_new_message_does_not_wait_for_a_retry(book: Book) -> None:
    """The proxy may work again long before the next retry, which is then no longer needed."""

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        proxy.outcome = PushOutcome.FAILED
        notifier.notify(ALICE)
        await until(lambda: waiting(book) == 1)
        proxy.outcome = PushOutcome.DONE
        notifier.notify(ALICE)
        await until(lambda: waiting(book) == 0)
        assert proxy.taken == ["alices-phone"] * 2

    play(book, scene)


def test_unsent_notifications_survive_a_restart(book: Book) -> None:
    """Failed, active and waiting notifications are all kept."""
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


def test_unsent_notifications_survive_a_kill(book: Book) -> None:
    """The kill happens in the half second before anything is written to the book."""
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
        # Simulate the end of the process here: after a kill, nothing more happens.
        arrivals.write_bytes(left[0])

    left: list[bytes] = []
    play(book, killed, between, after)
    assert left == [f"{ALICE}\n".encode()]


def test_a_stop_during_the_lookup_loses_nothing(book: Book) -> None:
    """The address was in no queue at that moment, and its line in the file was removed."""

    async def stopped(notifier: Notifier, _proxy: FakeProxy, _: Clock) -> None:
        real, asked = notifier._book.devices, asyncio.Event()

        async def hangs(_addresses: Sequence[str]) -> Sequence[tuple[str, str]]:
            notifier._book.devices = real  # type: ignore[method-assign]
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        notifier._book.devices = hangs  # type: ignore[assignment,method-assign]
        notifier.notify(ALICE)
        await asked.wait()

    async def after(_notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        await until(lambda: proxy.taken == ["alices-phone"])

    play(book, stopped, after)


def test_the_end_of_one_notification_does_not_remove_the_next(book: Book) -> None:
    """Both are for one device, which has one row in the book."""

    async def scene(notifier: Notifier, proxy: FakeProxy, clock: Clock) -> None:
        proxy.open.clear()
        for number in range(CONNECTIONS):
            notifier.notify(ALICE)
            await until(lambda: proxy.under_way == number + 1)  # noqa: B023 - awaited at once
        notifier.notify(ALICE)
        await until(lambda: len(notifier._waiting) == 1)
        clock.now += 1
        await until(lambda: waiting(book) == 1)

        first = next(iter(notifier._sending.values()))
        notifier._finish(first.one)
        await notifier._backlog.remove_finished()

        assert waiting(book) == 1

    play(book, scene)


def test_addresses_are_logged_no_longer_than_needed(book: Book) -> None:
    """After a notification is sent or in the book, the file in memory no longer has the address."""
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


def test_a_slow_notification_is_in_the_book_meanwhile(book: Book) -> None:
    """So it survives a power failure. It leaves the book when the proxy has accepted it."""

    async def scene(notifier: Notifier, proxy: FakeProxy, clock: Clock) -> None:
        proxy.open.clear()
        notifier.notify(ALICE)
        await until(lambda: proxy.under_way == 1)
        clock.now += 1
        await until(lambda: waiting(book) == 1)
        proxy.open.set()
        await until(lambda: waiting(book) == 0)

    play(book, scene)


def test_an_invalid_token_is_deleted(book: Book) -> None:
    """Status 410 means that the app was removed or has a new token."""

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        proxy.outcome = PushOutcome.TOKEN_DEAD
        notifier.notify(ALICE)
        await until(lambda: not Tokens(book).of(ALICE, TODAY))

    assert play(book, scene)["push", "token-dead"] == 1


def test_ten_thousand_waiting_cost_less_than_50_mb(book: Book) -> None:
    """A proxy hangs on a busy day, and tokens have the maximum length: they wait on disk."""
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
        await until(lambda: waiting(book) + len(notifier._waiting) + CONNECTIONS == count)
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
    """Return this process's resident memory in bytes (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_notify_returns_at_once(book: Book) -> None:
    """A delivery waits for the caller."""

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        proxy.open.clear()
        start = time.perf_counter()
        for _more in range(1000):
            notifier.notify(ALICE)
        assert time.perf_counter() - start < 0.1

    play(book, scene)


def test_the_log_contains_no_token(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    """The log says once that the proxy fails, and once that it works again."""

    async def scene(notifier: Notifier, proxy: FakeProxy, _: Clock) -> None:
        caplog.set_level("INFO")
        proxy.outcome = PushOutcome.FAILED
        for count in (1, 2):
            notifier.notify(ALICE)
            await until(lambda: len(proxy.taken) == count)  # noqa: B023 - awaited at once
        proxy.outcome = PushOutcome.DONE
        notifier.notify(ALICE)
        await until(lambda: len(proxy.taken) == 3)

    play(book, scene)

    assert len(caplog.messages) == 2
    assert "HTTP status 500" in caplog.messages[0]
    assert "alice" not in caplog.text


def test_a_message_is_notified_once() -> None:
    """Dovecot repeats the status when a message was copied to another recipient."""
    arrivals = Arrivals()

    assert arrivals.is_news(ALICE, "7 bob123456@chat.example.org")
    assert not arrivals.is_news(ALICE, "7 bob123456@chat.example.org")
    assert arrivals.is_news(ALICE, "8 bob123456@chat.example.org")
    assert arrivals.is_news(BOB, "8 carol@other.example")


def test_own_copies_are_not_notified() -> None:
    """A client sends copies of its messages to itself, for the user's other devices."""
    arrivals = Arrivals()

    assert not arrivals.is_news(ALICE, f"7 {ALICE}")
    assert not arrivals.is_news(ALICE, f"8 {ALICE.upper()}")


@pytest.mark.parametrize("mark", ["7 ", "7", ""])
def test_a_bounce_is_notified(mark: str) -> None:
    """A bounce has an empty sender and reports that a message did not arrive."""
    assert Arrivals().is_news(ALICE, mark)
