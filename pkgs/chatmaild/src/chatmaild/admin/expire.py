"""`chatmail expire`: what would go tonight, or let it go now."""

import argparse
import subprocess
import time

from chatmaild.admin.accounts import human_size
from chatmaild.admin.cli import CommandError
from chatmaild.book.accounts import BookError
from chatmaild.config import Config
from chatmaild.expiry.night import Report
from chatmaild.expiry.runner import ExpiryError, night
from chatmaild.expiry.sweep import Amount

UNIT = "chatmail-expire.service"


def run(config: Config, options: argparse.Namespace) -> int:
    """Rehearse a night and print what would go, or start what the timer starts."""
    if not options.dry_run:
        return _start()
    try:
        print("\n".join(lines(night(config, time.time(), rehearsal=True))))
    except (BookError, ExpiryError) as error:
        raise CommandError(str(error)) from None
    return 0


def lines(report: Report) -> list[str]:
    """Say what would go; the operator may read the addresses of accounts, nobody else does."""
    return [
        f"{report.mailboxes} mailboxes, {_amount(report.seen)}",
        "would go:",
        f"  old mail            {_amount(report.old)}",
        f"  large mail          {_amount(report.large)}",
        f"  from full mailboxes {_trimmed(report)}",
        f"  unfinished          {_amount(report.leftovers)}",
        f"  without an account  {report.removed_orphans} of {len(report.orphans)} mailboxes",
        f"  idle accounts       {len(report.idle)}",
        *(f"    {address}" for address in sorted(report.idle)),
        *([f"not readable: {report.faults} mailboxes"] if report.faults else []),
        *([f"without a date, so they stay: {report.undated} messages"] if report.undated else []),
        *(
            ["not yet: the relay was away, so nothing goes by its age for a week"]
            if report.held
            else []
        ),
    ]


def _amount(amount: Amount) -> str:
    return f"{amount.messages} messages, {human_size(amount.bytes)}"


def _trimmed(report: Report) -> str:
    return f"{_amount(report.trimmed)} at least, of {report.trimmed_mailboxes} mailboxes"


def _start() -> int:
    # As its own user, in its sandbox, behind everybody else; not as root from a terminal.
    try:
        subprocess.run(["systemctl", "start", UNIT], check=True)  # noqa: S603, S607 - systemd's own
    except (OSError, subprocess.CalledProcessError):
        raise CommandError(f"it did not work; `journalctl -u {UNIT}` says why") from None
    print(f"done; `journalctl -u {UNIT}` has the report")
    return 0
