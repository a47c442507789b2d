"""
Log lines with a priority for the journal.

systemd reads the priority from `<N>` at the start of each line (sd-daemon(3)). Without it every
line has priority 6, and `journalctl -p warning` shows nothing.
"""

import logging
import os
import sys
import threading

_ERROR = 3
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4}

FAULT = "a fault of the program"

log = logging.getLogger(__name__)


class Formatter(logging.Formatter):
    """Adds the priority to each line of a record, so that a traceback stays complete."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the message and its traceback."""
        return with_priority(super().format(record), _PRIORITIES.get(record.levelno, _ERROR))


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
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    sys.excepthook = lambda _kind, fault, _trace: log.critical(FAULT, exc_info=fault)
    threading.excepthook = lambda thread: log.critical(FAULT, exc_info=thread.exc_value)
