"""
The addresses with new mail that is not notified yet: a file with one address per line.

The file is in memory (/run), so an entry costs microseconds and no disk access. A daemon that was
killed finds the entries again. Notifications that wait longer than a moment are in the account
book, which also survives a reboot.
"""

import contextlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from chatmaild.service.files import write_whole

log = logging.getLogger(__name__)

# An address has at most 254 octets (RFC 5321 4.5.3.1.3). This is enough for 10,000 of them.
MAX_BYTES = 10_000 * 255


class ArrivalLog:
    """The file, used by one thread; errors are logged once and have no other effect."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`."""
        self._path = path
        self._file = -1
        self._empty = False
        self._failed = False

    def left(self) -> list[str]:
        """Return the addresses left by the previous process, without duplicates."""
        try:
            with self._path.open("rb") as file:
                lines = file.read(MAX_BYTES).split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            self._tell(error)
            return []
        # A last line without LF is incomplete.
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
        """Replace the content by these addresses atomically."""
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
        """Close the file; its content remains."""
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
