"""
One expiry run over all mailboxes, with a report.

The run handles one mailbox at a time. It keeps only totals and the addresses of idle accounts, so
its memory does not grow with the relay. An error in one mailbox does not stop the others.
"""

import logging
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from chatmaild.book.accounts import Account
from chatmaild.config import Config
from chatmaild.dovecot import maildir
from chatmaild.dovecot.mailboxes import Mailboxes
from chatmaild.expiry import policy
from chatmaild.expiry.policy import SECONDS_PER_DAY, Limits
from chatmaild.expiry.sweep import Amount, Remove, sweep, trim

FOREVER = Limits(sys.maxsize, sys.maxsize, 0)

log = logging.getLogger("chatmail-expire")


class AccountReader(Protocol):
    """The account book; both methods may raise BookError, which ends the run."""

    def find(self, address: str) -> Account | None:
        """Look up an account."""

    def idle(self, before_day: int) -> list[str]:
        """List the accounts not used since a day."""


@dataclass(slots=True)
class Report:
    """The results of a run; `idle` and `orphans` are addresses and are never logged."""

    mailboxes: int = 0
    seen: Amount = field(default_factory=Amount)
    old: Amount = field(default_factory=Amount)
    large: Amount = field(default_factory=Amount)
    leftovers: Amount = field(default_factory=Amount)
    trimmed: Amount = field(default_factory=Amount)
    trimmed_mailboxes: int = 0
    undated: int = 0
    faults: int = 0
    idle: list[str] = field(default_factory=list)
    deleted: int = 0
    orphans: list[str] = field(default_factory=list)
    removed_orphans: int = 0
    held: bool = False
    seconds: float = 0.0
    failure: str = ""

    def sentence(self) -> str:
        """Summarize the run in one line, without addresses."""
        mailboxes = f"{self.mailboxes} mailboxes with {_amount(self.seen)} seen"
        removed = (
            f"removed {_amount(self.old)} as old, {_amount(self.large)} as large,"
            f" {_amount(self.trimmed)} from {self.trimmed_mailboxes} full mailboxes,"
            f" {self.leftovers.messages} leftovers,"
            f" {self.deleted} of {len(self.idle)} idle accounts,"
            f" {self.removed_orphans} of {len(self.orphans)} mailboxes without an account"
        )
        notes = f"{self.undated} messages without a date, {self.faults} mailboxes unreadable"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        held = "; age-based deletion is paused because the relay was offline" if self.held else ""
        return f"{mailboxes}; {removed}; {notes}; {self.seconds:.1f} s, {peak} MB{held}"


class ExpiryRun:
    """Processes the mailboxes of a relay."""

    def __init__(
        self,
        config: Config,
        accounts: AccountReader,
        now: float,
        *,
        held: bool = False,
        rehearsal: bool = False,
    ) -> None:
        """
        Prepare a run at `now`, in seconds since 1970 UTC.

        With `held`, nothing is deleted because of its age (see `hold`). With `rehearsal`, nothing
        is deleted at all; the report says what would be.
        """
        self._config = config
        self._accounts = accounts
        self._now = now
        self._today = int(now) // SECONDS_PER_DAY
        self._held = held
        self._rehearsal = rehearsal
        self._limits = FOREVER if held else Limits.of(config.retention)
        self._mailboxes = Mailboxes(config.paths.mailboxes)
        self._remove: Remove = _keep if rehearsal else maildir.remove
        self.report = Report(held=held)

    def mailboxes(self) -> None:
        """Sweep and trim every mailbox."""
        started = time.monotonic()
        with os.scandir(self._config.paths.mailboxes) as entries:
            for entry in entries:
                # Addresses never begin with a dot.
                if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                    continue
                account = self._accounts.find(entry.name)
                try:
                    self._mailbox(entry.name, entry.path, account)
                except OSError as error:
                    self.report.faults += 1
                    log.warning("a mailbox cannot be read: %s", error.strerror)
        if not self._rehearsal:
            self._mailboxes.empty_trash()
        self.report.seconds = time.monotonic() - started

    def _mailbox(self, address: str, home: str, account: Account | None) -> None:
        self.report.mailboxes += 1
        if account is None:
            self._orphan(address, home)
            return
        swept = sweep(home, self._now, self._limits, self._remove)
        for total, amount in (
            (self.report.seen, swept.seen),
            (self.report.old, swept.old),
            (self.report.large, swept.large),
            (self.report.leftovers, swept.leftovers),
        ):
            total.add_all(amount)
        self.report.undated += swept.undated
        self._trim(home, swept.left)

    def _trim(self, home: str, left: Amount) -> None:
        mailbox = self._config.mailbox
        if not policy.needs_trimming(left.messages, left.bytes, mailbox):
            return
        self.report.trimmed_mailboxes += 1
        if self._rehearsal:
            # A rehearsal deletes no old messages, so it cannot know which ones would remain to be
            # trimmed.
            self.report.trimmed.add_all(Amount(*policy.to_trim(left.messages, left.bytes, mailbox)))
        else:
            self.report.trimmed.add_all(trim(home, mailbox, self._now))

    def idle(self) -> None:
        """Find the unused accounts."""
        before_day = self._today - self._config.retention.idle_account_days
        self.report.idle = [] if self._held else self._accounts.idle(before_day)

    def delete(self, delete: Callable[[str, int], bool]) -> None:
        """
        Delete the idle accounts, one after the other.

        `delete` takes an address and a day, and returns whether the account was deleted. It is not
        deleted if it has been used since that day after all.
        """
        before_day = self._today - self._config.retention.idle_account_days
        for address in self.report.idle:
            self.report.deleted += delete(address, before_day)

    def _orphan(self, address: str, home: str) -> None:
        self.report.orphans.append(address)
        days = (self._now - _last_change(home)) / SECONDS_PER_DAY
        if self._held or days <= self._config.retention.idle_account_days:
            return
        if not self._rehearsal:
            self._mailboxes.discard(address)
        self.report.removed_orphans += 1


def _last_change(home: str) -> float:
    """Return when a mailbox last changed by delivery, move or deletion."""
    return max(
        maildir.changed(f"{home}{part}") or 0.0
        for part in ("", "/Maildir", "/Maildir/new", "/Maildir/cur")
    )


def _keep(_path: str) -> bool:
    return True


def _amount(amount: Amount) -> str:
    return f"{amount.messages} messages ({amount.bytes / 1_000_000:.1f} MB)"
