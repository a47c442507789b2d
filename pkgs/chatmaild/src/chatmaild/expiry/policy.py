"""
Decides what expires and when. Pure functions: no clock, no disk.

Times are seconds since 1970-01-01 UTC, or days; sizes are bytes.
"""

import enum
from dataclasses import dataclass
from typing import Self

from chatmaild.config import Mailbox, Retention

SECONDS_PER_DAY = 86400
# A delivery keeps its file in tmp/ for a moment only. maildir(5) gives stray files 36 hours; on a
# relay, clients finish their uploads within a day.
LEFTOVER_SECONDS = SECONDS_PER_DAY
# No relay has received mail before this date; an earlier time comes from a missing clock.
EARLIEST = 1_577_836_800  # 2020-01-01
# The maximum difference of a machine's clock before and after a reboot, unless one was wrong.
CLOCK_SKEW_SECONDS = SECONDS_PER_DAY


class Verdict(enum.Enum):
    """The decision about a message."""

    KEEP = enum.auto()
    OLD = enum.auto()
    LARGE = enum.auto()


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's `retention.*` in seconds and bytes."""

    mail_seconds: int
    large_mail_seconds: int
    large_mail_size: int

    @classmethod
    def of(cls, retention: Retention) -> Self:
        """Convert the limits of the configuration."""
        return cls(
            retention.mail_days * SECONDS_PER_DAY,
            retention.large_mail_days * SECONDS_PER_DAY,
            retention.large_mail_size,
        )


def judge(size: int, age: float, limits: Limits) -> Verdict:
    """Return what to do with a message of this age in seconds, in any folder, read or unread."""
    if age > limits.mail_seconds:
        return Verdict.OLD
    if size >= limits.large_mail_size and age > limits.large_mail_seconds:
        return Verdict.LARGE
    return Verdict.KEEP


def received(stamp: float | None, changed: float | None, now: float) -> float | None:
    """
    Return when a message arrived, from its file name's time stamp and the file's mtime.

    The stamp has priority, because nothing changes it: no backup, no restored mailbox, and no
    client. (A client may choose the mtime: APPEND, RFC 3501 6.3.11.) The mtime is used if the stamp
    is missing or impossible. If both are impossible, the message arrived while the clock was wrong,
    and the result is None.
    """
    for time in (stamp, changed):
        if time is not None and EARLIEST <= time <= now + CLOCK_SKEW_SECONDS:
            return time
    return None


def since(arrived: float, internal_date: float | None) -> float:
    """
    Return from when the age of a message counts: its arrival, or an earlier internal date.

    A copy has a new file name with a new stamp, but it keeps the internal date, which is the file's
    mtime (RFC 3501 2.3.3 and 6.4.7). So it is as old as its original. Otherwise a message that is
    copied now and then would stay forever. A client that chooses the date (APPEND) can only make
    its own messages expire earlier.
    """
    if internal_date is not None and EARLIEST <= internal_date < arrived:
        return internal_date
    return arrived


def is_leftover(age: float) -> bool:
    """Return whether a file in tmp/ is too old to belong to a delivery in progress."""
    return age > LEFTOVER_SECONDS


def needs_trimming(messages: int, size: int, mailbox: Mailbox) -> bool:
    """Return whether a mailbox with this number of messages and bytes must be trimmed."""
    return (
        size * 100 >= mailbox.max_size * mailbox.trim_from
        or messages * 100 >= mailbox.max_messages * mailbox.trim_from
    )


def to_trim(messages: int, size: int, mailbox: Mailbox) -> tuple[int, int]:
    """Return the minimum number of messages and bytes that trimming must delete."""
    return (
        max(0, messages - mailbox.max_messages * mailbox.trim_to // 100),
        max(0, size - mailbox.max_size * mailbox.trim_to // 100),
    )
