"""
What the filter must know of single addresses, which it cannot ask the account book.

`chatmail-accounts` leaves an empty file for an address, named by its hash, and the filter looks for
it. The directories lie in /run: `chatmail-accounts` writes anew what must outlive a reboot.

    revoked     blocked or deleted since they logged in. Who is blocked cannot log in, and Dovecot
                cuts who is connected to it. But a session with Postfix, once logged in, stays so,
                and Postfix asks nobody again. No session outlives a reboot.
    exceptions  of whom `incoming.cleartext` says the opposite of what holds for them.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


class Marks:
    """The addresses marked in one directory, without regard to case."""

    def __init__(self, directory: Path) -> None:
        """Look into `directory`, which need not be there yet."""
        self.directory = directory

    def _file(self, address: str) -> Path:
        name = hashlib.sha256(address.lower().encode("utf-8", "replace")).hexdigest()
        return self.directory / name

    def add(self, address: str) -> None:
        """Mark an address; raises OSError."""
        self._file(address).touch(0o444)

    def remove(self, address: str) -> None:
        """Take the mark of an address away; raises OSError."""
        self._file(address).unlink(missing_ok=True)

    def replace(self, addresses: Iterable[str]) -> None:
        """Mark these and no others, each that stays without a gap; raises OSError."""
        wanted = {self._file(address) for address in addresses}
        for file in wanted:
            file.touch(0o444)
        for file in self.directory.iterdir():
            if file not in wanted:
                file.unlink(missing_ok=True)

    def __contains__(self, address: str) -> bool:
        """Say whether an address is marked."""
        # Not Path.exists, which raises where the directory may not be looked into.
        return os.path.exists(self._file(address))  # noqa: PTH110
