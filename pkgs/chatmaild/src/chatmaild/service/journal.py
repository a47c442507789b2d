"""
Log lines with a priority for the journal.

systemd reads the priority from `<N>` at the start of each line (sd-daemon(3)). Without it every
line has priority 6, and `journalctl -p warning` shows nothing.
"""

import copy
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

from chatmaild.service.ratelimit import RateLimit

_ERROR = 3
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4}

FAULT = "a fault of the program"

log = logging.getLogger(__name__)


class Formatter(logging.Formatter):
    """Adds the priority to each line of a record, so that a traceback stays complete."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the message and its traceback."""
        return with_priority(super().format(record), _PRIORITIES.get(record.levelno, _ERROR))


class Limit(logging.Filter):
    """
    Limits how many lines per minute each place in the program can log.

    Otherwise a stranger could fill the journal and displace lines that the operator must see.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without records."""
        super().__init__()
        self._clock = clock
        self._lines = RateLimit(12, burst=5)
        self._tracebacks = RateLimit(60, burst=1)
        self._omitted: Counter[tuple[str, int]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:
        """Omit a record, or add the number of omitted records to its message."""
        place = (record.pathname, record.lineno)
        limit = self._tracebacks if record.exc_info else self._lines
        if limit.wait(place, self._clock()):
            self._omitted[place] += 1
            return False
        if not (omitted := self._omitted.pop(place, 0)):
            return True
        told = copy.copy(record)
        told.msg, told.args = f"{record.getMessage()} ({omitted} more were not logged)", None
        return told


def with_priority(text: str, priority: int = _ERROR) -> str:
    """Add a syslog(3) priority to each line, if standard error goes to the journal."""
    if not _is_journal():
        return text
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))


def _is_journal() -> bool:
    """Return whether standard error goes to the journal (systemd.exec(5), $JOURNAL_STREAM)."""
    status = os.fstat(2)
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def start() -> None:
    """Log to standard error, including uncaught exceptions."""
    handler = logging.StreamHandler(sys.stderr)
    # The journal adds time, host and program itself.
    handler.setFormatter(Formatter())
    handler.addFilter(Limit())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    sys.excepthook = lambda _kind, fault, _trace: log.critical(FAULT, exc_info=fault)
    threading.excepthook = lambda thread: log.critical(FAULT, exc_info=thread.exc_value)
