"""Per-account exceptions from the relay's setting `incoming.cleartext`."""

from chatmaild.book.accounts import Book


class Cleartext:
    """Accounts that accept or refuse unencrypted mail from other servers; raises BookError."""

    def __init__(self, book: Book) -> None:
        """Store the exceptions in a book."""
        self._book = book

    def choose(self, address: str, *, allowed: bool | None) -> bool:
        """Allow, refuse or (None) follow the relay; return False if there is no account."""
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
        """Return the choice for an account, or None if it follows the relay's setting."""
        with self._book.reading() as connection:
            row = connection.execute(
                "SELECT allowed FROM incoming_cleartext WHERE address = ?", (address,)
            ).fetchone()
        return None if row is None else bool(row[0])

    def where(self, *, allowed: bool) -> list[str]:
        """List the accounts for which the operator has made this choice."""
        with self._book.reading() as connection:
            rows = connection.execute(
                "SELECT address FROM incoming_cleartext WHERE allowed = ? ORDER BY address",
                (int(allowed),),
            ).fetchall()
        return [address for (address,) in rows]
