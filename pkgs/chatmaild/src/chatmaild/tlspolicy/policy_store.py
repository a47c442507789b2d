"""
Stores MTA-STS policies across restarts, so that blocking a fetch does not disable a policy.

RFC 8461 5.1 and 10.2 require this.

The policies are in memory, and in a file that is read once, at the start. The file names domains to
which users of this relay have written, so entries are deleted when their policy expires. Errors of
the file are not fatal: without it, policies last until the daemon ends.
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
"""The limit for all policies as text. 25 KB of hosts are allowed, but 200 bytes are usual."""
MAX_SECONDS = 90 * 86400.0
"""The maximum age of a policy, whatever it asks for; policies in use are renewed daily. The
privacy page states this limit too."""
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
    """A policy, the id of the record that announced it, and its times on the daemon's clock."""

    record_id: str
    policy: Policy
    until: float
    renew: float
    """When to fetch the policy again, with an unchanged record, before it expires."""

    @property
    def size(self) -> int:
        """The size of the policy as text, in octets."""
        return len(sts.text(self.policy))


class Policies:
    """Policies by domain, limited in number and size; the least recently used are dropped."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """
        Start with the content of the file `path`, or without a file.

        Times are compared with `clock`, which is monotonic; the file has times of `wall`.
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
        """Return the stored policy of a domain, if it is still valid."""
        kept = self._kept.get(domain)
        if kept is None:
            return None
        if kept.until <= self._clock():
            self._forget(domain)
            return None
        self._kept.move_to_end(domain)
        return kept

    def keep(self, domain: str, record_id: str, policy: Policy) -> None:
        """Store a fetched policy, replacing the previous one."""
        self._hold(domain, record_id, policy, 0.0)
        self._write(
            "INSERT OR REPLACE INTO policies VALUES (?, ?, ?, ?)",
            (domain, record_id, sts.text(policy).decode(), self._wall()),
        )
        self._shrink()

    def forget_expired(self) -> None:
        """Delete expired policies, also from the file."""
        now = self._clock()
        for domain in [name for name, kept in self._kept.items() if kept.until <= now]:
            self._forget(domain)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _hold(self, domain: str, record_id: str, policy: Policy, age: float) -> None:
        # A wrong clock, now or when the policy was written, never extends its life.
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
    """Open and read the file; recreate it if it is not ours, return None if that fails."""
    try:
        try:
            return _read(path)
        except sqlite3.DatabaseError as error:
            log.warning("MTA-STS policies cannot be read, starting without any: %s", _why(error))
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            return _read(path)
    except (OSError, sqlite3.Error) as error:
        log.warning("MTA-STS policies will be lost at a restart: %s", _why(error))
        return None, []


def _read(path: Path) -> tuple[sqlite3.Connection, list[_Row]]:
    file = sqlite3.connect(path, autocommit=True)
    try:
        # A power failure may lose the last policies but not the file. No answer waits for the disk.
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
    """Name an error without its message, which may quote the content of the file."""
    return getattr(error, "sqlite_errorname", None) or type(error).__name__
