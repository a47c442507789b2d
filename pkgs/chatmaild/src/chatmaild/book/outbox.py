"""
Push notifications that wait in the account book: what the proxy did not take at once.

One row for a device, however many messages arrived meanwhile: a woken phone fetches all of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chatmaild.book.accounts import Book

# A row that is being sent comes up again after this, should the daemon die over it. Longer than
# what is taken at once can need: two rounds of POSTs that all run into their timeout.
LEASE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Notification:
    """A device to wake; `since` is the UNIX time of the newest message it is about."""

    address: str
    token: str
    since: int
    attempts: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others: one is enough for a device."""
        return self.address, self.token


class Outbox:
    """The waiting notifications; every method raises BookError as those of Book do."""

    def __init__(self, book: Book) -> None:
        """Keep them in `book`."""
        self._book = book

    def put(self, waiting: Sequence[tuple[Notification, int]]) -> None:
        """
        Keep notifications, each until the UNIX time beside it.

        One for a token that is no longer the account's is not kept.
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
        """List those that are due, longest due first, and lease them for a minute."""
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
        """Return when the next one is due; None when none waits."""
        with self._book.reading() as connection:
            row: tuple[int | None] = connection.execute(
                "SELECT min(due) FROM notifications"
            ).fetchone()
        return row[0]

    def remove(self, keys: Iterable[tuple[str, str]]) -> None:
        """Forget those that were taken or given up, by address and token."""
        with self._book.writing() as connection:
            connection.executemany(
                "DELETE FROM notifications WHERE address = ? AND token = ?", keys
            )

    def forget_token(self, token: str) -> None:
        """Forget a token that the proxy calls dead, whoever set it."""
        with self._book.writing() as connection:
            connection.execute("DELETE FROM device_tokens WHERE token = ?", (token,))
            connection.execute("DELETE FROM notifications WHERE token = ?", (token,))

    def oldest(self) -> int | None:
        """Return the time of the oldest message that a waiting one is about; None for none."""
        with self._book.reading() as connection:
            row: tuple[int | None] = connection.execute(
                "SELECT min(since) FROM notifications"
            ).fetchone()
        return row[0]

    def count(self) -> tuple[int, int]:
        """Count those that wait, and the attempts that the unluckiest of them has seen."""
        with self._book.reading() as connection:
            row: tuple[int, int] = connection.execute(
                "SELECT count(*), coalesce(max(attempts), 0) FROM notifications"
            ).fetchone()
        return row
