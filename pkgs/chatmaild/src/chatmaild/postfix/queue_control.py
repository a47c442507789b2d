"""
Changes messages of Postfix's queue: postsuper(1) for most, `postqueue -i` to try at once.

Both act on queue IDs. Messages may be delivered meanwhile, so the results are the
numbers that Postfix reports.
"""

import re
import subprocess
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from chatmaild.postfix.queue import QueueError

SECONDS = 60.0


class Change(Enum):
    """A change of a message; BOUNCE takes effect at the next attempt, even after a hold."""

    HOLD = "hold"
    RELEASE = "release"
    DROP = "drop"
    BOUNCE = "bounce"


_OPTIONS = {Change.HOLD: "-h", Change.RELEASE: "-H", Change.DROP: "-d", Change.BOUNCE: "-f"}


def directory() -> Path:
    """
    Return the directory of the queue.

    Raises:
        QueueError: Postfix is not installed or not configured.

    """
    return Path(_run(["postconf", "-h", "queue_directory"]).strip())


def change(what: Change, ids: Iterable[str]) -> int:
    """
    Change messages; return how many Postfix changed.

    Raises:
        QueueError: Postfix refuses, as it does if the user is not root.

    """
    said = _run(["postsuper", _OPTIONS[what], "-"], "".join(f"{one}\n" for one in ids))
    return sum(int(number) for number in re.findall(r"(?m): (\d+) messages?$", said))


def retry(ids: Iterable[str]) -> int:
    """
    Let Postfix try to deliver messages now; return how many.

    Raises:
        QueueError: Postfix refuses or is down.

    """
    return sum(1 for one in ids if _run(["postqueue", "-i", one]) is not None)


def next_tries(queue: Path) -> dict[str, int]:
    """
    Return when Postfix tries deferred messages again: queue ID -> UNIX time.

    It is the modification time of the queue file. The result is empty if the user may not read
    the queue.
    """
    found: dict[str, int] = {}
    for file in (queue / "deferred").rglob("*"):
        try:
            if file.is_file():
                found[file.name] = int(file.stat().st_mtime)
        except OSError:
            continue
    return found


def _run(command: list[str], given: str = "") -> str:
    """Run a program of Postfix; return its output and its errors."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs; IDs come from Postfix's own listing
            command,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise QueueError(f"`{command[0]}` is not installed") from None
    except subprocess.TimeoutExpired:
        raise QueueError(f"`{command[0]}` did not end within {SECONDS:g} s") from None
    if done.returncode:
        raise QueueError(" ".join(done.stdout.split())[:300] or f"`{command[0]}` failed")
    return done.stdout
