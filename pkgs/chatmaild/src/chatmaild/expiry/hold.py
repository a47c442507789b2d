"""
Pauses expiry after the relay was offline.

After a month offline, a restored backup or with a wrong clock, everything looks old: all messages
have expired, and no account has logged in lately. So users get a week to fetch their mail and to
log in before anything is deleted because of its age.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from chatmaild.service.files import write_whole

# A reboot or an update at the wrong hour can cause two missed runs.
ABSENCE_DAYS = 3
HOLD_DAYS = 7


@dataclass(frozen=True, slots=True)
class Hold:
    """The day of the last run, and the day on which expiry resumes; both since 1970."""

    last_run_day: int
    until_day: int


def decide(last: Hold | None, today: int) -> Hold:
    """
    Return until when to pause, given the last run, or None if there was none.

    A last run in the future, or a pause longer than any absence causes, comes from a wrong clock
    and counts as an absence.
    """
    if (
        last is None
        or not 0 <= today - last.last_run_day <= ABSENCE_DAYS
        or last.until_day > today + HOLD_DAYS
    ):
        return Hold(today, today + HOLD_DAYS)
    return Hold(today, last.until_day)


def read(path: Path) -> Hold | None:
    """Read the note of the last run; return None if it is missing or unreadable."""
    try:
        found = json.loads(path.read_bytes())
        return Hold(int(found["last_run_day"]), int(found["until_day"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write(path: Path, hold: Hold) -> None:
    """Write the note of this run; raises OSError."""
    write_whole(path, json.dumps(asdict(hold)).encode())
