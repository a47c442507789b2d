"""
What goes, and when. Pure decisions on numbers: no clock, no disk.

Time is seconds since 1970-01-01 UTC, or days of it; sizes are bytes.
"""

import enum
from dataclasses import dataclass
from typing import Self

from chatmaild.config import Mailbox, Retention

SECONDS_PER_DAY = 86400
# A delivery has its file in tmp/ for a moment. Maildir's author gives a stray one 36 hours
# (maildir(5)), clients that upload to a relay are done within one day.
LEFTOVER_SECONDS = SECONDS_PER_DAY
# Earlier than this no relay of ours has received anything: whoever says so had no clock.
EARLIEST = 1_577_836_800  # 2020-01-01
# Clocks of a machine before and after a reboot differ by that much at most, unless one was wrong.
CLOCK_SKEW_SECONDS = SECONDS_PER_DAY


class Verdict(enum.Enum):
    """What happens to a message."""

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
        """Take them from the configuration."""
        return cls(
            retention.mail_days * SECONDS_PER_DAY,
            retention.large_mail_days * SECONDS_PER_DAY,
            retention.large_mail_size,
        )


def judge(size: int, age: float, limits: Limits) -> Verdict:
    """Say whether a message of this age in seconds stays; read or not, in whatever folder."""
    if age > limits.mail_seconds:
        return Verdict.OLD
    if size >= limits.large_mail_size and age > limits.large_mail_seconds:
        return Verdict.LARGE
    return Verdict.KEEP


def received(stamp: float | None, changed: float | None, now: float) -> float | None:
    """
    Say when a message arrived, from the stamp in its file name and the file's time of change.

    The stamp counts, because nothing makes it later: neither a backup nor a restored mailbox, and
    no client, which may choose the file's time (APPEND, RFC 3501 6.3.11). The file's time
    stands in for a stamp that is missing or cannot be. None when both cannot be: such a message
    came while the clock was wrong, and when is unknown.
    """
    for time in (stamp, changed):
        if time is not None and EARLIEST <= time <= now + CLOCK_SKEW_SECONDS:
            return time
    return None


def since(arrived: float, internal_date: float | None) -> float:
    """
    Say from when a message's age counts: its arrival, or its internal date if that is earlier.

    A copy has a file name, and so a stamp, of its own; what it keeps is the internal date, which is
    the file's time of change (RFC 3501 2.3.3 and 6.4.7). It is as old as its original,
    or mail that is copied now and then would stay for ever. A client that chooses the date (APPEND)
    can only have its own mail go earlier.
    """
    if internal_date is not None and EARLIEST <= internal_date < arrived:
        return internal_date
    return arrived


def is_leftover(age: float) -> bool:
    """Say whether a file in tmp/ belongs to no delivery any more."""
    return age > LEFTOVER_SECONDS


def needs_trimming(messages: int, size: int, mailbox: Mailbox) -> bool:
    """Say whether a mailbox with so many messages and bytes is too full for its oldest mail."""
    return (
        size * 100 >= mailbox.max_size * mailbox.trim_from
        or messages * 100 >= mailbox.max_messages * mailbox.trim_from
    )


def to_trim(messages: int, size: int, mailbox: Mailbox) -> tuple[int, int]:
    """Return by how many messages and bytes at least trimming makes a mailbox smaller."""
    return (
        max(0, messages - mailbox.max_messages * mailbox.trim_to // 100),
        max(0, size - mailbox.max_size * mailbox.trim_to // 100),
    )
