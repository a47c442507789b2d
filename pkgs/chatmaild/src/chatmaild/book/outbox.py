"""
The queue of push notifications that the proxy did not accept at once, in the account book.

There is at most one row per device, because a woken phone fetches all messages that have arrived.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chatmaild.book.accounts import Book

# If the daemon dies while it sends a notification, the row becomes due again after this time. It is
# longer than one batch can take: two rounds of POSTs that all time out.
LEASE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Notification:
    """A device to wake; `since` is the UNIX time of the newest message that it is about."""

    address: str
    token: str
    since: int
    attempts: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """The identity of a notification: one is enough for each device."""
        return self.address, self.token


class Outbox:
    """The queued notifications; every method raises BookError as those of Book do."""

    def __init__(self, book: Book) -> None:
        """Store the notifications in `book`."""
        self._book = book

    def put(self, waiting: Sequence[tuple[Notification, int]]) -> None:
        """
        Queue notifications, each due at the UNIX time beside it.

        A notification for a token that the account no longer has is dropped.
        """
        with self._book.writing() as connection:
            connection.executemany(
                "INSERT INTO notifications (address, token, since, attempts, due)"
                " SELECT address, token, ?3, ?4, ?5 FROM device_tokens"
                " WHERE address = ?1 AND token = ?2"
                " ON CONFLICT DO UPDATE SET since = max(since, excluded.since),"
                " attempts = max(attempts, excluded.attempts), due = excluded.due",
                [(one.address, one.token, one.since, one.attempts, due) for one, due in waiting],
            )

    def take(self, now: int, limit: int) -> list[Notification]:
        """Return those that are due, longest due first, and lease them for a minute."""
        with self._book.writing() as connection:
            rows = connection.execute(
                "SELECT address, token, since, attempts FROM notifications"
                " WHERE due <= ? ORDER BY due LIMIT ?",
                (now, limit),
            ).fetchall()
            connection.executemany(
                "UPDATE notifications SET due = ?3 WHERE address = ?1 AND token = ?2",
                [(address, token, now + LEASE_SECONDS) for address, token, _, _ in rows],
            )
        return [Notification(*row) for row in rows]

    def next_due(self) -> int | None:
        """Return when the next notification is due, or None if the queue is empty."""
        with self._book.reading() as connection:
            row: tuple[int | None] = connection.execute(
                "SELECT min(due) FROM notifications"
            ).fetchone()
        return row[0]

    def remove(self, keys: Iterable[tuple[str, str]]) -> None:
        """Remove notifications that were accepted or given up, by address and token."""
        with self._book.writing() as connection:
            connection.executemany(
                "DELETE FROM notifications WHERE address = ? AND token = ?", keys
            )

    def forget_token(self, token: str) -> None:
        """Remove a token that the proxy reports as invalid, from all accounts."""
        with self._book.writing() as connection:
            connection.execute("DELETE FROM device_tokens WHERE token = ?", (token,))
            connection.execute("DELETE FROM notifications WHERE token = ?", (token,))

    def oldest(self) -> int | None:
        """Return the oldest `since` in the queue, or None if the queue is empty."""
        with self._book.reading() as connection:
            row: tuple[int | None] = connection.execute(
                "SELECT min(since) FROM notifications"
            ).fetchone()
        return row[0]

    def count(self) -> tuple[int, int]:
        """Return the length of the queue and the highest number of attempts in it."""
        with self._book.reading() as connection:
            row: tuple[int, int] = connection.execute(
                "SELECT count(*), coalesce(max(attempts), 0) FROM notifications"
            ).fetchone()
        return row
