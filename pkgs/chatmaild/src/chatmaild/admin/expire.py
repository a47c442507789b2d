"""`chatmail expire`: lists what tonight's expiry would delete, or runs it now."""

import argparse
import subprocess
import time
from typing import TYPE_CHECKING

from chatmaild.admin.command import CommandError
from chatmaild.config import Config
from chatmaild.text import human_size

if TYPE_CHECKING:
    from chatmaild.expiry.run import Report
    from chatmaild.expiry.sweep import Amount

HELP = "delete expired mail and idle accounts now, or list them"
UNIT = "chatmail-expire.service"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the one option."""
    parser.add_argument(
        "--dry-run", action="store_true", help="list what would be deleted; delete nothing"
    )


def run(config: Config, options: argparse.Namespace) -> int:
    """Print what would be deleted, or start the unit that the timer starts."""
    if not options.dry_run:
        return _start()
    from chatmaild.book.accounts import BookError
    from chatmaild.expiry.runner import ExpiryError, expire

    try:
        print("\n".join(lines(expire(config, time.time(), rehearsal=True))))
    except (BookError, ExpiryError) as error:
        raise CommandError(str(error)) from None
    return 0


def lines(report: "Report") -> list[str]:
    """List what would be deleted; the operator may see the addresses of accounts."""
    return [
        f"{report.mailboxes} mailboxes, {_amount(report.seen)}",
        "would be deleted:",
        f"  old mail            {_amount(report.old)}",
        f"  large mail          {_amount(report.large)}",
        f"  from full mailboxes {_trimmed(report)}",
        f"  unfinished          {_amount(report.leftovers)}",
        f"  without an account  {report.removed_orphans} of {len(report.orphans)} mailboxes",
        f"  idle accounts       {len(report.idle)}",
        *(f"    {address}" for address in sorted(report.idle)),
        *([f"not readable: {report.faults} mailboxes"] if report.faults else []),
        *(
            [f"kept, because they have no date: {report.undated} messages"]
            if report.undated
            else []
        ),
        *(
            ["not yet: the relay was offline, so deletion by age is paused for a week"]
            if report.held
            else []
        ),
    ]


def _amount(amount: "Amount") -> str:
    return f"{amount.messages} messages, {human_size(amount.bytes)}"


def _trimmed(report: "Report") -> str:
    return f"at least {_amount(report.trimmed)}, in {report.trimmed_mailboxes} mailboxes"


def _start() -> int:
    # In its unit it has its own user, its sandbox and a low priority.
    try:
        subprocess.run(["systemctl", "start", UNIT], check=True)  # noqa: S603, S607 - systemd's own
    except (OSError, subprocess.CalledProcessError):
        raise CommandError(f"expiry failed; `journalctl -u {UNIT}` has the reason") from None
    print(f"done; `journalctl -u {UNIT}` has the report")
    return 0
