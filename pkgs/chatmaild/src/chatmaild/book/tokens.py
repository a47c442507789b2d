"""
Device tokens in the account book: the devices that a message wakes.

A client sets its token at every start, so a token that was not set for a long time belongs to a
device that is no longer in use.
"""

from chatmaild.book.accounts import Book

LIFETIME_DAYS = 90
# One account is used on a few devices. The limit in bytes keeps the joined answer below the 64 KiB
# that Dovecot accepts as one dict line.
MAX_TOKENS = 16
MAX_TOKEN_BYTES = 60_000


class Tokens:
    """The tokens of all accounts; every method raises BookError as those of Book do."""

    def __init__(self, book: Book) -> None:
        """Store the tokens in `book`."""
        self._book = book

    def add(self, address: str, token: str, today: int) -> bool:
        """
        Add or renew a device token; the oldest tokens are removed if there are too many.

        Returns False if there is no such account.
        """
        with self._book.writing() as connection:
            if not connection.execute(
                "SELECT 1 FROM accounts WHERE address = ?", (address,)
            ).fetchone():
                return False
            connection.execute(
                "DELETE FROM device_tokens WHERE address = ? AND token = ?", (address, token)
            )
            connection.execute(
                "INSERT INTO device_tokens (address, token, set_day) VALUES (?, ?, ?)",
                (address, token, today),
            )
            newest_first = connection.execute(
                "SELECT id, length(token) FROM device_tokens WHERE address = ? ORDER BY id DESC",
                (address,),
            ).fetchall()
            size = 0
            surplus = []
            for position, (identity, length) in enumerate(newest_first):
                size += length + 1
                if position >= MAX_TOKENS or size > MAX_TOKEN_BYTES:
                    surplus.append((identity,))
            connection.executemany("DELETE FROM device_tokens WHERE id = ?", surplus)
        return True

    def of(self, address: str, today: int) -> list[str]:
        """List an account's tokens set within the last 90 days, least recently set first."""
        with self._book.reading() as connection:
            rows = connection.execute(
                "SELECT token FROM device_tokens WHERE address = ? AND set_day > ? ORDER BY id",
                (address, today - LIFETIME_DAYS),
            ).fetchall()
        return [token for (token,) in rows]

    def remove(self, address: str) -> None:
        """Delete all device tokens of an account, and the notifications queued for them."""
        with self._book.writing() as connection:
            connection.execute("DELETE FROM device_tokens WHERE address = ?", (address,))
            connection.execute("DELETE FROM notifications WHERE address = ?", (address,))

    def expire(self, today: int) -> int:
        """Delete the tokens not set for 90 days; return their number."""
        return self._forget(today - LIFETIME_DAYS)

    def forget_all(self) -> int:
        """Delete all device tokens, on a relay without push notifications; return their number."""
        return self._forget(2**62)

    def _forget(self, until_day: int) -> int:
        with self._book.writing() as connection:
            count = connection.execute(
                "DELETE FROM device_tokens WHERE set_day <= ?", (until_day,)
            ).rowcount
            if count:
                connection.execute(
                    "DELETE FROM notifications WHERE (address, token) NOT IN"
                    " (SELECT address, token FROM device_tokens)"
                )
            return count
