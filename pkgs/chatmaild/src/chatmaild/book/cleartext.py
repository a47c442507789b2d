"""Accounts for which the operator chose otherwise than for the relay (`incoming.cleartext`)."""

from chatmaild.book.accounts import Book


class Cleartext:
    """Whether unencrypted mail from elsewhere may come in, by account; raises as Book does."""

    def __init__(self, book: Book) -> None:
        """Keep it in a book."""
        self._book = book

    def choose(self, address: str, *, allowed: bool | None) -> bool:
        """Let it in or not, or (None) as the relay does; False where there is no account."""
        with self._book.writing() as connection:
            known = connection.execute("SELECT 1 FROM accounts WHERE address = ?", (address,))
            if known.fetchone() is None:
                return False
            connection.execute("DELETE FROM incoming_cleartext WHERE address = ?", (address,))
            if allowed is not None:
                connection.execute(
                    "INSERT INTO incoming_cleartext (address, allowed) VALUES (?, ?)",
                    (address, int(allowed)),
                )
        return True

    def of(self, address: str) -> bool | None:
        """Return what was chosen for an account, None for what the relay does."""
        with self._book.reading() as connection:
            row = connection.execute(
                "SELECT allowed FROM incoming_cleartext WHERE address = ?", (address,)
            ).fetchone()
        return None if row is None else bool(row[0])

    def where(self, *, allowed: bool) -> list[str]:
        """List the accounts for which this was chosen."""
        with self._book.reading() as connection:
            rows = connection.execute(
                "SELECT address FROM incoming_cleartext WHERE allowed = ? ORDER BY address",
                (int(allowed),),
            ).fetchall()
        return [address for (address,) in rows]
