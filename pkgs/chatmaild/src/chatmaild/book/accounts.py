"""
The account book: one SQLite file that says which accounts exist.

`chatmail-accounts` writes it, and Dovecot reads it with `SELECT ... FROM accounts`, so that table
is an interface. Times are stored as days since 1970-01-01, because the relay has no need to know
the exact time of a login.

If a relay loses its book, anyone can take over any address by logging in first. So the daemon stops
if the book is damaged, foreign, newer than this program, or missing although mailboxes exist.
Nothing in this module ever recreates or overwrites an existing book.
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
# Dovecot's reader or a backup may lock the file for a moment, but not longer. A dict command must
# be answered within five seconds.
BUSY_TIMEOUT_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Account:
    """One account; `password` is a hash with its scheme, and days count since 1970-01-01."""

    address: str
    password: str
    created_day: int
    last_login_day: int | None
    blocked: bool


class NotCreatedError(Exception):
    """No account was created; the message is a word for counters."""


class Book:
    """
    An open account book; every method may be called from any thread.

    Every method raises BookError if the file cannot be used right now, e.g. because it is locked or
    the disk is full. This is never reported as "no such account".
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Wrap an open connection; call `open` or `open_reader` instead."""
        self._connection = connection
        self._path = path
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, mailboxes: Path) -> Self:
        """
        Open the book for writing, or create the first one of a relay that has no mailboxes yet.

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
            BookError: as for `open`, and if there is no book.

        """
        return cls(schema.connect(path, BUSY_TIMEOUT_SECONDS, write=False), path)

    def close(self) -> None:
        """Close the file; the last connection merges the write-ahead log into it."""
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
        Create an account unless it exists; return the account, and whether it is new.

        Only one of several simultaneous first logins creates the account. The others must compare
        their password with that of the returned account. With `invited_at`, a UNIX time, the
        address must have been handed out for an invite, and the invite is used once. An account
        with `own` belongs to the relay itself and can be created again right after its deletion.

        Raises:
            NotCreatedError: the address was deleted recently, or the invite is missing.

        """
        with self.writing() as connection:
            created = connection.execute(
                "INSERT OR IGNORE INTO accounts (address, password, created_day) VALUES (?, ?, ?)",
                (address, password, today),
            ).rowcount
            if created:
                # An exception rolls the insertion back.
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
        """Block or unblock an account; return False if there is none."""
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
        Delete an account with all of its data; return False if there is none.

        With `idle_before`, a day, delete it only if it has not been used since then.

        During the grace period the address cannot be created again. Only a hash of it is kept, made
        with a key that is unique to this book.
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
        """Merge the write-ahead log into the file, because the log still contains deleted data."""
        with self.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def expire_names(self, today: int, now: int) -> None:
        """Forget deleted addresses after their grace period, and handed-out names never used."""
        with self.writing() as connection:
            connection.execute("DELETE FROM deleted WHERE free_day <= ?", (today,))
            connection.execute("DELETE FROM handed_out WHERE until <= ?", (now,))

    def record_logins(self, addresses: Iterable[str], today: int) -> None:
        """Note that these accounts were used today; writes nothing for those already noted."""
        with self.writing() as connection:
            connection.executemany(
                "UPDATE accounts SET last_login_day = ?1"
                " WHERE address = ?2 AND coalesce(last_login_day, -1) < ?1",
                [(today, address) for address in addresses],
            )

    def idle(self, before_day: int) -> list[str]:
        """List the accounts that were neither used nor created since a day."""
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
        """Hold the connection for reading; the other tables of the book use it too."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise BookError(f"{self._path}: cannot be read: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction; committed data survives a power failure (synchronous=FULL)."""
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
        # A failed COMMIT leaves the transaction open or has already rolled it back.
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
