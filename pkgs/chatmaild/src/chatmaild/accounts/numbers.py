"""Reports counters and the current state of chatmail-accounts to chatmail-metrics."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chatmaild.book import last_night
from chatmaild.book.accounts import Book, BookError
from chatmaild.book.thread import BookThread, today
from chatmaild.config import Config
from chatmaild.service import numbers

ACTIVE_DAYS = (1, 7, 30)


class Numbers:
    """Answers on a socket; see chatmaild.service.numbers."""

    def __init__(self, config: Config, book: BookThread, counts: Counter[str]) -> None:
        """Report what is in the book, beside it, and in `counts`."""
        self._config = config
        self._book = book
        self._counts = counts

    async def serve(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            async with asyncio.timeout(numbers.TELL_SECONDS):
                writer.write(numbers.encode(await self.all()))
                await writer.drain()
        except (OSError, TimeoutError):
            pass  # The client does not read, or has closed the connection.
        finally:
            writer.close()

    async def all(self) -> Mapping[str, Any]:
        """Return all values; null for those that cannot be read."""
        return {
            "counts": dict(self._counts),
            "book": await self._of_the_book(),
            "disk": await asyncio.to_thread(_disk, self._config.paths.mailboxes),
            "expiry": await asyncio.to_thread(_last_night, self._config),
        }

    async def _of_the_book(self) -> Mapping[str, int] | None:
        with contextlib.suppress(BookError):
            waiting, _ = await self._book.run(self._book.outbox.count)
            oldest = await self._book.run(self._book.outbox.oldest)
            age = 0 if oldest is None else max(0, int(time.time()) - oldest)
            people = await self._book.run(population, self._book.book, today())
            return {**people, "push_waiting": waiting, "push_oldest_seconds": age}
        return None


def population(book: Book, day: int) -> dict[str, int]:
    """
    Count the accounts: all, blocked, and those with a login in the last days.

    Logins are recorded by day. So "in the last N days" begins with the day N days ago.
    """
    active = ", ".join(f"total(last_login_day >= {day - days})" for days in ACTIVE_DAYS)
    with book.reading() as connection:
        everyone, blocked, *lively = connection.execute(
            f"SELECT count(*), total(blocked), {active} FROM accounts"  # noqa: S608 - numbers
        ).fetchone()
    return {
        "accounts": everyone,
        "blocked": int(blocked),
        **{f"active_{days}": int(n) for days, n in zip(ACTIVE_DAYS, lively, strict=True)},
    }


def _last_night(config: Config) -> Mapping[str, Any] | None:
    try:
        last = last_night.read(config.paths.last_night)
    except (OSError, ValueError):
        return None
    return None if last is None else {**asdict(last), "fault": bool(last.fault)}


def _disk(mailboxes: Path) -> Mapping[str, int] | None:
    # The directory does not exist before the first login.
    for directory in (mailboxes, *mailboxes.parents):
        try:
            status = os.statvfs(directory)
        except OSError:
            continue
        return {
            "free": status.f_bavail * status.f_frsize,
            "size": status.f_blocks * status.f_frsize,
        }
    return None
