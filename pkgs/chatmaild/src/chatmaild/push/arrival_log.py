"""
Whose new mail is not yet told: one address a line, in a file that outlives this process.

It lies in memory (/run), so noting an arrival costs microseconds and no disk; a daemon that is
killed finds there what it had not handed on. What waits longer than a moment is in the account
book, which outlives the machine too.
"""

import contextlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from chatmaild.service.files import write_whole

log = logging.getLogger(__name__)

# An address is at most 254 octets long (RFC 5321 4.5.3.1.3); so many may wait at once.
MAX_BYTES = 10_000 * 255


class ArrivalLog:
    """The file, used from one thread; a fault of the file is told once and costs nothing else."""

    def __init__(self, path: Path) -> None:
        """Keep it at `path`."""
        self._path = path
        self._file = -1
        self._empty = False
        self._failed = False

    def left(self) -> list[str]:
        """Return the addresses that the process before has left, each once."""
        try:
            with self._path.open("rb") as file:
                lines = file.read(MAX_BYTES).split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            self._tell(error)
            return []
        # Without its end a line was cut short.
        found = (line.decode("utf-8", "surrogateescape") for line in lines[:-1])
        return list(dict.fromkeys(address for address in found if "@" in address))

    def note(self, address: str) -> None:
        """Add one."""
        try:
            if self._file < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                self._file = os.open(self._path, flags, 0o600)
            self._empty = False
            os.write(self._file, _line(address))
        except OSError as error:
            self._tell(error)

    def keep(self, addresses: Iterable[str]) -> None:
        """Let it hold these and no others, the old content or the new one whatever happens."""
        content = b"".join(_line(address) for address in dict.fromkeys(addresses))
        if not content and self._empty:
            return
        self.close()
        try:
            write_whole(self._path, content)
            self._empty = not content
        except OSError as error:
            self._tell(error)

    def close(self) -> None:
        """Close the file; what is in it stays."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._file = -1

    def _tell(self, error: OSError) -> None:
        if not self._failed:
            log.error("%s: cannot be used: %s", self._path, error.strerror)
        self._failed = True


def _line(address: str) -> bytes:
    return address.replace("\n", "").encode("utf-8", "surrogateescape") + b"\n"
