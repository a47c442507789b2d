"""
Log lines with the priority that the journal sorts them by.

systemd reads it from `<N>` at the start of each line (sd-daemon(3)). Without it every line has
priority 6, and `journalctl -p warning` shows nothing.
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
    """Puts the priority before each line of a record, so that a traceback stays in one piece."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the message, and the traceback if there is one."""
        return with_priority(super().format(record), _PRIORITIES.get(record.levelno, _ERROR))


def with_priority(text: str, priority: int = _ERROR) -> str:
    """Put a priority of syslog(3) before each line, if standard error goes to the journal."""
    if not _is_journal():
        return text
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))


def _is_journal() -> bool:
    """Compare standard error with what systemd connected (systemd.exec(5), $JOURNAL_STREAM)."""
    status = os.fstat(2)
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def start() -> None:
    """Log to standard error, also the exceptions that nothing catches."""
    handler = logging.StreamHandler(sys.stderr)
    # The journal adds time, host and program by itself.
    handler.setFormatter(Formatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    sys.excepthook = lambda _kind, fault, _trace: log.critical(FAULT, exc_info=fault)
    threading.excepthook = lambda thread: log.critical(FAULT, exc_info=thread.exc_value)
