"""
Invites: who may get an address on a relay that gives them by invitation only.

Handing out a name costs an invite nothing; the account does, in the transaction that makes it. So
an invite cannot be used up by robots that look at links, by clients that ask twice, or by people
who give up half-way, and it can never make more accounts than it has uses. The price: when more
people at once ask than uses are left, the last ones get a name that their first login refuses.
"""

import enum
import secrets
from dataclasses import dataclass

from chatmaild.book.accounts import Book

TOKEN_BYTES = 16
# How long a handed-out name may wait for its first login: a client logs in within seconds, unless
# the network fails between the two.
NAME_SECONDS = 24 * 3600
# Names of one invite that wait at once, beyond what it can still make; the oldest go.
SPARE_NAMES = 100


class Refused(enum.Enum):
    """Why an invite is not good; the value is a word for counters."""

    MISSING = "invite-missing"
    UNKNOWN = "invite-unknown"
    EXPIRED = "invite-expired"
    USED_UP = "invite-used-up"


@dataclass(frozen=True, slots=True)
class Invite:
    """An invite; days count since 1970-01-01, `last_day` is the last one on which it is good."""

    id: int
    token: str
    comment: str
    uses: int
    used: int
    created_day: int
    last_day: int | None


class Invites:
    """The invites in an account book; every method raises BookError as those of Book do."""

    def __init__(self, book: Book) -> None:
        """Keep them in `book`."""
        self._book = book

    def add(self, uses: int, days: int | None, comment: str, today: int) -> Invite:
        """Make an invite for so many accounts, good for so many days, or for ever."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        last_day = None if days is None else today + days
        with self._book.writing() as connection:
            row = connection.execute(
                "INSERT INTO invites (token, comment, uses, created_day, last_day)"
                " VALUES (?, ?, ?, ?, ?) RETURNING id",
                (token, comment, uses, today, last_day),
            ).fetchone()
        return Invite(row[0], token, comment, uses, 0, today, last_day)

    def list(self) -> list[Invite]:
        """List all of them, oldest first."""
        with self._book.reading() as connection:
            rows = connection.execute(
                "SELECT id, token, comment, uses, used, created_day, last_day"
                " FROM invites ORDER BY id"
            ).fetchall()
        return [Invite(*row) for row in rows]

    def remove(self, identity: int) -> bool:
        """Withdraw an invite, and the names handed out for it; False when there is none."""
        with self._book.writing() as connection:
            return connection.execute("DELETE FROM invites WHERE id = ?", (identity,)).rowcount == 1

    def hand_out(self, token: str, address: str, today: int, now: int) -> Refused | None:
        """Let an address be created with this invite within a day, or say why not."""
        with self._book.writing() as connection:
            row = connection.execute(
                "SELECT id, uses - used, last_day FROM invites WHERE token = ?", (token,)
            ).fetchone()
            if row is None:
                return Refused.UNKNOWN
            identity, left, last_day = row
            if last_day is not None and today > last_day:
                return Refused.EXPIRED
            if left <= 0:
                return Refused.USED_UP
            connection.execute("DELETE FROM handed_out WHERE until <= ?", (now,))
            connection.execute(
                "DELETE FROM handed_out WHERE address IN (SELECT address FROM handed_out"
                " WHERE invite = ? ORDER BY until DESC LIMIT -1 OFFSET ?)",
                (identity, left + SPARE_NAMES),
            )
            connection.execute(
                "INSERT OR IGNORE INTO handed_out (address, invite, until) VALUES (?, ?, ?)",
                (address, identity, now + NAME_SECONDS),
            )
        return None
