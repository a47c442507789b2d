"""
Patience after an absence.

A relay that was switched off for a month, was restored from a backup, or believes a wrong clock
would throw away everything in its first minutes: all mail is old and nobody has logged in lately.
So whoever comes back gets a week to fetch mail and to log in before anything expires by its age.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from chatmaild.service.files import write_whole

# Two nights may be missed by a reboot or an update at the wrong hour.
ABSENCE_DAYS = 3
HOLD_DAYS = 7


@dataclass(frozen=True, slots=True)
class Hold:
    """The day of the last run, and the day from which things expire again; days since 1970."""

    last_run_day: int
    until_day: int


def decide(last: Hold | None, today: int) -> Hold:
    """
    Say until when to hold off, knowing the last run; None when there was none.

    A last run in the future, or a hold that ends too late for any absence, was written by a wrong
    clock and counts as an absence.
    """
    if (
        last is None
        or not 0 <= today - last.last_run_day <= ABSENCE_DAYS
        or last.until_day > today + HOLD_DAYS
    ):
        return Hold(today, today + HOLD_DAYS)
    return Hold(today, last.until_day)


def read(path: Path) -> Hold | None:
    """Read what the last run has noted; None when there is nothing that can be read."""
    try:
        found = json.loads(path.read_bytes())
        return Hold(int(found["last_run_day"]), int(found["until_day"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write(path: Path, hold: Hold) -> None:
    """Note this run; raises OSError."""
    write_whole(path, json.dumps(asdict(hold)).encode())
