"""
Invites: permissions to create an address on a relay with registration by invitation.

Handing out a name does not use up an invite. Creating the account does, in the same transaction. So
an invite cannot be used up by robots that follow links, by clients that ask twice, or by people
who give up halfway, and it never creates more accounts than it allows. The price: if more people
ask at once than uses are left, the last ones get a name with which the first login fails.
"""

import enum
import secrets
from dataclasses import dataclass

from chatmaild.book.accounts import Book

TOKEN_BYTES = 16
# How long a handed-out name stays reserved for its first login. A client logs in within seconds,
# unless the network fails in between.
NAME_SECONDS = 24 * 3600
# Number of names that one invite may reserve beyond its remaining uses; the oldest are dropped.
SPARE_NAMES = 100


class InviteRefusal(enum.Enum):
    """The reason why an invite is not valid; the value is a word for counters."""

    MISSING = "invite-missing"
    UNKNOWN = "invite-unknown"
    EXPIRED = "invite-expired"
    USED_UP = "invite-used-up"


@dataclass(frozen=True, slots=True)
class Invite:
    """An invite; days count since 1970-01-01, and `last_day` is the last day of its validity."""

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
        """Store the invites in `book`."""
        self._book = book

    def add(self, uses: int, days: int | None, comment: str, today: int) -> Invite:
        """Create an invite for `uses` accounts, valid for `days` days or (None) without limit."""
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
        """List all invites, oldest first."""
        with self._book.reading() as connection:
            rows = connection.execute(
                "SELECT id, token, comment, uses, used, created_day, last_day"
                " FROM invites ORDER BY id"
            ).fetchall()
        return [Invite(*row) for row in rows]

    def remove(self, identity: int) -> bool:
        """Withdraw an invite and the names handed out for it; return False if there is none."""
        with self._book.writing() as connection:
            return connection.execute("DELETE FROM invites WHERE id = ?", (identity,)).rowcount == 1

    def hand_out(self, token: str, address: str, today: int, now: int) -> InviteRefusal | None:
        """Reserve an address for this invite for a day, or return why that is refused."""
        with self._book.writing() as connection:
            row = connection.execute(
                "SELECT id, uses - used, last_day FROM invites WHERE token = ?", (token,)
            ).fetchone()
            if row is None:
                return InviteRefusal.UNKNOWN
            identity, left, last_day = row
            if last_day is not None and today > last_day:
                return InviteRefusal.EXPIRED
            if left <= 0:
                return InviteRefusal.USED_UP
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
