"""Reports the current state of the book, the disk and the last night to chatmail-metrics."""

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chatmaild.book import last_night
from chatmaild.book.accounts import Book, BookError
from chatmaild.book.thread import BookThread, today
from chatmaild.config import Config
from chatmaild.service.counters import Gauges

ACTIVE_DAYS = (1, 7, 30)


def of(config: Config, book: BookThread) -> Gauges:
    """Measure the book, the disk and the last night each time; null is what cannot be read."""

    async def gauges() -> Mapping[str, Any]:
        return {
            "book": await _of_the_book(book),
            "disk": await asyncio.to_thread(_disk, config.paths.mailboxes),
            "expiry": await asyncio.to_thread(_last_night, config),
        }

    return gauges


async def _of_the_book(book: BookThread) -> Mapping[str, int] | None:
    with contextlib.suppress(BookError):
        waiting, _ = await book.run(book.outbox.count)
        oldest = await book.run(book.outbox.oldest)
        age = 0 if oldest is None else max(0, int(time.time()) - oldest)
        people = await book.run(population, book.book, today())
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
