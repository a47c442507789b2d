"""
Keep the MTA-STS policies over restarts, so that blocking a fetch does not lift a policy.

RFC 8461 5.1 and 10.2 ask for it.

They are in memory, and in a file that is read once, at the start. What is in the file names domains
that somebody here wrote to, so it goes when the policy does. No fault of the file stops anything:
without it policies last until the daemon ends.
"""

import logging
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chatmaild.tlspolicy import sts
from chatmaild.tlspolicy.sts import Policy, StsError

MAX_POLICIES = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""Of all policies as text. One may have 25 KB of hosts, where 200 bytes are usual."""
MAX_SECONDS = 90 * 86400.0
"""For which a policy is kept at most, whatever it asks for: use renews it daily. The privacy page
says so too."""
RENEW_SECONDS = 86400.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS policies (
    domain TEXT PRIMARY KEY,
    record_id TEXT NOT NULL,
    policy TEXT NOT NULL,
    fetched REAL NOT NULL
) STRICT, WITHOUT ROWID
"""

_Row = tuple[str, str, str, float]

log = logging.getLogger("chatmail-tls")


@dataclass(frozen=True, slots=True)
class Kept:
    """A policy, the id of the record that announced it, and its times by the daemon's clock."""

    record_id: str
    policy: Policy
    until: float
    renew: float
    """When it may be fetched again, its record unchanged, so that it does not end while used."""

    @property
    def size(self) -> int:
        """Octets of the policy as text."""
        return len(sts.text(self.policy))


class Policies:
    """Policies by domain, bounded in number and size: the one not used for longest goes first."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """
        Start with what the file `path` has, or without a file.

        Times are held against `clock`, which never jumps; the file has those of `wall`.
        """
        self._clock = clock
        self._wall = wall
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._size = 0
        self._file, rows = _open(path) if path else (None, [])
        for domain, record_id, text, fetched in rows:
            try:
                self._hold(domain, record_id, sts.parse(text.encode()), wall() - fetched)
            except StsError:
                self._delete(domain)
        self._shrink()
        self.forget_expired()

    def get(self, domain: str) -> Kept | None:
        """Return what is kept for a domain and still holds."""
        kept = self._kept.get(domain)
        if kept is None:
            return None
        if kept.until <= self._clock():
            self._forget(domain)
            return None
        self._kept.move_to_end(domain)
        return kept

    def keep(self, domain: str, record_id: str, policy: Policy) -> None:
        """Keep a policy just fetched, in place of the one before."""
        self._hold(domain, record_id, policy, 0.0)
        self._write(
            "INSERT OR REPLACE INTO policies VALUES (?, ?, ?, ?)",
            (domain, record_id, sts.text(policy).decode(), self._wall()),
        )
        self._shrink()

    def forget_expired(self) -> None:
        """Forget what holds no longer, in the file too."""
        now = self._clock()
        for domain in [name for name, kept in self._kept.items() if kept.until <= now]:
            self._forget(domain)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _hold(self, domain: str, record_id: str, policy: Policy, age: float) -> None:
        # A clock that was wrong once, here or when it was written, makes no policy last longer.
        lasts = min(policy.max_age, MAX_SECONDS)
        left = min(lasts - age, lasts)
        now = self._clock()
        renew = now + min(RENEW_SECONDS, lasts / 2) - max(age, 0.0)
        old = self._kept.pop(domain, None)
        new = Kept(record_id, policy, now + left, renew)
        self._kept[domain] = new
        self._size += new.size - (old.size if old else 0)

    def _shrink(self) -> None:
        while len(self._kept) > MAX_POLICIES or self._size > MAX_BYTES:
            self._forget(next(iter(self._kept)))

    def _forget(self, domain: str) -> None:
        self._size -= self._kept.pop(domain).size
        self._delete(domain)

    def _delete(self, domain: str) -> None:
        self._write("DELETE FROM policies WHERE domain = ?", (domain,))

    def _write(self, statement: str, values: tuple[str | float, ...]) -> None:
        if self._file is None:
            return
        try:
            self._file.execute(statement, values)
        except sqlite3.Error as error:
            log.warning("MTA-STS policies cannot be written: %s", _why(error))


def _open(path: Path) -> tuple[sqlite3.Connection | None, list[_Row]]:
    """Open the file and read it, anew if it is none of ours; None if there cannot be one."""
    try:
        try:
            return _read(path)
        except sqlite3.DatabaseError as error:
            log.warning("MTA-STS policies cannot be read, starting without any: %s", _why(error))
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            return _read(path)
    except (OSError, sqlite3.Error) as error:
        log.warning("MTA-STS policies will not outlast a restart: %s", _why(error))
        return None, []


def _read(path: Path) -> tuple[sqlite3.Connection, list[_Row]]:
    file = sqlite3.connect(path, autocommit=True)
    try:
        # A power cut may lose the last policies but not the file, and no answer waits for the disk.
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = NORMAL")
        file.execute(_SCHEMA)
        return file, file.execute(
            "SELECT domain, record_id, policy, fetched FROM policies ORDER BY fetched"
        ).fetchall()
    except sqlite3.Error:
        file.close()
        raise


def _why(error: Exception) -> str:
    """Name a fault; the sentences of some quote what is in the file."""
    return getattr(error, "sqlite_errorname", None) or type(error).__name__
