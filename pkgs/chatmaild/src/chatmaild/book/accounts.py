"""
The account book: one SQLite file that says which accounts exist.

`chatmail-accounts` writes it, Dovecot reads it (`SELECT ... FROM accounts`, so that table is an
interface). A day is the finest time in it, counted since 1970-01-01: when somebody last
logged in to the minute is nobody's business.

A relay that loses its book gives every address away to whoever logs in first. So a book that is
damaged, foreign, newer than this program, or missing while mailboxes exist stops the daemon, and
nothing here ever recreates or overwrites one.
"""

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chatmaild.book import schema
from chatmaild.book.schema import BookError

__all__ = ["Account", "Book", "BookError", "NotCreatedError"]

SECONDS_PER_DAY = 86400
# Dovecot's reader or an operator's backup may hold the file for a moment, not for longer; and a
# dict command must be answered within five seconds.
BUSY_TIMEOUT_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Account:
    """One account; `password` is a hash with its scheme, days count since 1970-01-01."""

    address: str
    password: str
    created_day: int
    last_login_day: int | None
    blocked: bool


class NotCreatedError(Exception):
    """No account was made; the text is a word for counters."""


class Book:
    """
    An open account book; every method may be called from any thread.

    Every method raises BookError when the file cannot be used right now, e.g. because it is
    locked or the disk is full. That is never the same as "no such account".
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Take an open connection; use `open` or `open_reader` instead."""
        self._connection = connection
        self._path = path
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, mailboxes: Path) -> Self:
        """
        Open the book for writing, or make the very first one of a relay without mailboxes.

        Raises:
            BookError: the file is damaged, foreign, too new, cannot be opened, or is missing
                although there are mailboxes.

        """
        if not path.exists():
            schema.create(path, mailboxes)
        return cls(schema.connect(path, BUSY_TIMEOUT_SECONDS, write=True), path)

    @classmethod
    def open_reader(cls, path: Path) -> Self:
        """
        Open an existing book for reading only.

        Raises:
            BookError: as `open`, and when there is no book.

        """
        return cls(schema.connect(path, BUSY_TIMEOUT_SECONDS, write=False), path)

    def close(self) -> None:
        """Close the file; the last one to close folds the write-ahead log into it."""
        with self._lock:
            self._connection.close()

    def find(self, address: str) -> Account | None:
        """Look an account up by its exact address."""
        with self.reading() as connection:
            row = connection.execute(
                "SELECT address, password, created_day, last_login_day, blocked"
                " FROM accounts WHERE address = ?",
                (address,),
            ).fetchone()
        return None if row is None else _account(row)

    def create(
        self,
        address: str,
        password: str,
        today: int,
        *,
        invited_at: int | None = None,
        own: bool = False,
    ) -> tuple[Account, bool]:
        """
        Create an account unless it exists; return what is in the book now, and whether it is new.

        Of any number of simultaneous first logins one creates, and the others must compare their
        password with the returned account's. With `invited_at`, the UNIX time, only a name that
        was handed out for an invite is created, and uses the invite once. An account of the relay's
        `own` is created again however lately it was deleted.

        Raises:
            NotCreatedError: the address was deleted not long ago, or the invite is missing.

        """
        with self.writing() as connection:
            created = connection.execute(
                "INSERT OR IGNORE INTO accounts (address, password, created_day) VALUES (?, ?, ?)",
                (address, password, today),
            ).rowcount
            if created:
                # Leaving the block by an exception takes the row back.
                if own:
                    connection.execute(
                        "DELETE FROM deleted WHERE hash = ?", (_hash(connection, address),)
                    )
                elif connection.execute(
                    "SELECT 1 FROM deleted WHERE hash = ? AND free_day > ?",
                    (_hash(connection, address), today),
                ).fetchone():
                    raise NotCreatedError("deleted-address")
                if invited_at is not None and not _use_invite(connection, address, invited_at):
                    raise NotCreatedError("uninvited")
            row = connection.execute(
                "SELECT address, password, created_day, last_login_day, blocked"
                " FROM accounts WHERE address = ?",
                (address,),
            ).fetchone()
        return _account(row), created == 1

    def set_blocked(self, address: str, *, blocked: bool) -> bool:
        """Block or unblock an account; False when there is none."""
        with self.writing() as connection:
            return (
                connection.execute(
                    "UPDATE accounts SET blocked = ? WHERE address = ?", (int(blocked), address)
                ).rowcount
                == 1
            )

    def delete(
        self, address: str, today: int, grace_days: int, *, idle_before: int | None = None
    ) -> bool:
        """
        Delete an account with all that hangs on it; False when there is none.

        With `idle_before`, a day, only if it was not used since.

        For the grace period nobody can create the address. All that remains for it is a hash with
        a key of this book's own.
        """
        with self.writing() as connection:
            if not connection.execute(
                "DELETE FROM accounts WHERE address = ?1 AND"
                " (?2 IS NULL OR max(created_day, coalesce(last_login_day, 0)) < ?2)",
                (address, idle_before),
            ).rowcount:
                return False
            if grace_days:
                connection.execute(
                    "INSERT OR REPLACE INTO deleted (hash, free_day) VALUES (?, ?)",
                    (_hash(connection, address), today + grace_days),
                )
        return True

    def fold(self) -> None:
        """Fold the write-ahead log into the file, so that it does not keep what was deleted."""
        with self.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def expire_names(self, today: int, now: int) -> None:
        """Forget deleted addresses whose grace period is over, and names that nobody took."""
        with self.writing() as connection:
            connection.execute("DELETE FROM deleted WHERE free_day <= ?", (today,))
            connection.execute("DELETE FROM handed_out WHERE until <= ?", (now,))

    def record_logins(self, addresses: Iterable[str], today: int) -> None:
        """Note that these accounts were used today; who already was costs no disk write."""
        with self.writing() as connection:
            connection.executemany(
                "UPDATE accounts SET last_login_day = ?1"
                " WHERE address = ?2 AND coalesce(last_login_day, -1) < ?1",
                [(today, address) for address in addresses],
            )

    def idle(self, before_day: int) -> list[str]:
        """List the accounts not used since a day; one never used counts from its creation."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT address FROM accounts"
                " WHERE max(created_day, coalesce(last_login_day, 0)) < ? ORDER BY address",
                (before_day,),
            ).fetchall()
        return [address for (address,) in rows]

    def count(self) -> int:
        """Count the accounts."""
        with self.reading() as connection:
            row: tuple[int] = connection.execute("SELECT count(*) FROM accounts").fetchone()
        return row[0]

    def accounts(self) -> list[Account]:
        """List all accounts in the order of their addresses."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT address, password, created_day, last_login_day, blocked"
                " FROM accounts ORDER BY address"
            ).fetchall()
        return [_account(row) for row in rows]

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read; for this package's other tables."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise BookError(f"{self._path}: cannot be read: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction; what is committed survives a power cut (synchronous=FULL)."""
        with self._lock:
            try:
                with _transaction(self._connection.execute):
                    yield self._connection
            except sqlite3.Error as error:
                raise BookError(f"{self._path}: cannot be written: {error}") from error


@contextmanager
def _transaction(execute: Callable[[str], object]) -> Iterator[None]:
    execute("BEGIN IMMEDIATE")
    try:
        yield
        execute("COMMIT")
    except BaseException:
        # A failed COMMIT has left the transaction open or already rolled it back.
        with suppress(sqlite3.OperationalError):
            execute("ROLLBACK")
        raise


def _hash(connection: sqlite3.Connection, address: str) -> bytes:
    (key,) = connection.execute("SELECT key FROM hash_key").fetchone()
    return hashlib.blake2b(address.encode("utf-8", "surrogateescape"), key=key).digest()


def _use_invite(connection: sqlite3.Connection, address: str, now: int) -> bool:
    used = connection.execute(
        "UPDATE invites SET used = used + 1 WHERE used < uses AND id ="
        " (SELECT invite FROM handed_out WHERE address = ? AND until > ?)",
        (address, now),
    ).rowcount
    connection.execute("DELETE FROM handed_out WHERE address = ?", (address,))
    return used == 1


def _account(row: tuple[str, str, int, int | None, int]) -> Account:
    address, password, created_day, last_login_day, blocked = row
    return Account(address, password, created_day, last_login_day, bool(blocked))
