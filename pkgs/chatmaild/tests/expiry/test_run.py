import dataclasses
import os
from pathlib import Path

import pytest

from chatmaild.book.accounts import Account
from chatmaild.config import Config, Mailbox
from chatmaild.expiry.run import ExpiryRun, Report

from .boxes import DAY, NOW, Box

TODAY = int(NOW) // DAY
ALICE, BOB, CAROL = (f"{name}@chat.example.org" for name in ("alice0000", "bob000000", "carol0000"))


class Accounts(dict[str, Account]):
    """An account book in memory."""

    def make(self, address: str, created: int, last_login: int | None) -> None:
        """Add an account with these ages in days."""
        last = None if last_login is None else TODAY - last_login
        self[address] = Account(address, "{X}", TODAY - created, last, blocked=False)

    def find(self, address: str) -> Account | None:
        """Look up an account."""
        return self.get(address)

    def idle(self, before_day: int) -> list[str]:
        """List those whose last login, or creation, is before a day."""
        return [
            account.address
            for account in self.values()
            if max(account.created_day, account.last_login_day or 0) < before_day
        ]


@pytest.fixture
def accounts() -> Accounts:
    """Return a book with alice, who logged in today."""
    result = Accounts()
    result.make(ALICE, 300, 0)
    return result


def run(
    config: Config, accounts: Accounts, *, held: bool = False, rehearsal: bool = False
) -> Report:
    """Run the expiry."""
    night = ExpiryRun(config, accounts, NOW, held=held, rehearsal=rehearsal)
    night.mailboxes()
    night.idle()
    return night.report


def test_the_summary_contains_no_address(config: Config, accounts: Accounts) -> None:
    """The line goes to the journal, which must not contain addresses."""
    box = Box(config.paths.mailboxes, ALICE)
    box.message(21, 5_000_000)
    box.message(8, 200_000)
    kept = box.message(1)

    report = run(config, accounts)

    assert box.names() == {kept}
    sentence = report.sentence()
    assert "1 mailboxes with 3 messages (5.2 MB) seen" in sentence
    assert "1 messages (5.0 MB) as old, 1 messages (0.2 MB) as large" in sentence
    assert "alice" not in sentence


def test_a_rehearsal_reports_the_same_and_deletes_nothing(
    config: Config, accounts: Accounts
) -> None:
    """An operator wants to see the effect of a changed limit before it happens."""
    config = dataclasses.replace(config, mailbox=Mailbox(100_000, 1000, 75, 70))
    box = Box(config.paths.mailboxes, ALICE)
    for days in (30, 25, 3, 2, 1):
        box.message(days, 40_000)
    before = box.names()

    rehearsed = run(config, accounts, rehearsal=True)

    assert box.names() == before
    report = run(config, accounts)
    assert rehearsed.old == report.old
    assert rehearsed.trimmed_mailboxes == report.trimmed_mailboxes == 1
    assert rehearsed.trimmed.bytes == 50_000
    assert report.trimmed.bytes == 80_000


def test_a_mailbox_of_too_many_messages_is_trimmed_at_night(
    config: Config, accounts: Accounts
) -> None:
    """The size of the messages does not matter, nor whether Dovecot's request was lost."""
    config = dataclasses.replace(config, mailbox=Mailbox(100_000, 10, 75, 70))
    box = Box(config.paths.mailboxes, ALICE)
    names = [box.message(days, 9) for days in (9, 8, 7, 6, 5, 4, 3, 2)]

    rehearsed = run(config, accounts, rehearsal=True)
    report = run(config, accounts)

    assert (rehearsed.trimmed_mailboxes, rehearsed.trimmed.messages) == (1, 1)
    assert (report.trimmed_mailboxes, report.trimmed.messages) == (1, 1)
    assert box.names() == set(names[1:])


@pytest.mark.parametrize(
    ("created", "last_login", "idle"),
    [(300, 91, True), (300, 90, False), (91, None, True), (90, None, False), (5, 91, False)],
)
def test_finds_unused_accounts(
    config: Config, created: int, last_login: int | None, *, idle: bool
) -> None:
    """An account without a login counts from its creation, also when it was created again."""
    accounts = Accounts()
    accounts.make(BOB, created, last_login)

    assert run(config, accounts).idle == ([BOB] if idle else [])


def test_nothing_expires_by_age_after_an_absence(config: Config, accounts: Accounts) -> None:
    """Full mailboxes are still trimmed, because new mail arrives."""
    config = dataclasses.replace(config, mailbox=Mailbox(100_000, 1000, 75, 70))
    accounts.make(BOB, 300, 200)
    Box(config.paths.mailboxes, BOB).message(100)
    box = Box(config.paths.mailboxes, ALICE)
    box.message(60, 40_000)
    kept = {box.message(50, 40_000)}

    report = run(config, accounts, held=True)

    assert report.idle == []
    assert report.old.messages == 0
    assert box.names() == kept
    assert "the relay was offline" in report.sentence()


def test_a_mailbox_without_an_account_is_deleted_after_the_idle_days(
    config: Config, accounts: Accounts
) -> None:
    """The account may return with a backup of the account book, or by a login."""
    for address, days in ((BOB, 91), (CAROL, 89)):
        box = Box(config.paths.mailboxes, address)
        box.message(days)
        for path in (box.home, *box.home.rglob("*")):
            os.utime(path, (NOW - days * DAY,) * 2)
    Box(config.paths.mailboxes, ALICE)

    assert run(config, accounts, rehearsal=True).removed_orphans == 1
    report = run(config, accounts)

    assert sorted(report.orphans) == [BOB, CAROL]
    assert report.removed_orphans == 1
    assert {path.name for path in config.paths.mailboxes.iterdir()} == {ALICE, CAROL}


def test_counts_the_accounts_that_were_deleted(config: Config) -> None:
    """The book keeps an account that logs in between the listing and the deletion."""
    accounts = Accounts()
    accounts.make(BOB, 300, 91)
    accounts.make(CAROL, 300, None)
    night = ExpiryRun(config, accounts, NOW)
    night.idle()
    asked = []

    def delete(address: str, before_day: int) -> bool:
        asked.append((address, before_day))
        return address == BOB

    night.delete(delete)

    assert asked == [(BOB, TODAY - 90), (CAROL, TODAY - 90)]
    assert "1 of 2 idle accounts" in night.report.sentence()


def test_one_unreadable_mailbox_does_not_stop_the_run(
    config: Config, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged disk often affects single directories."""
    accounts.make(BOB, 1, 0)
    broken = Box(config.paths.mailboxes, ALICE)
    box = Box(config.paths.mailboxes, BOB)
    box.message(21)
    real = os.scandir

    def scandir(path: str | Path) -> object:
        if str(path).startswith(str(broken.home)):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    report = run(config, accounts)

    assert report.faults == 1
    assert report.old.messages == 1
