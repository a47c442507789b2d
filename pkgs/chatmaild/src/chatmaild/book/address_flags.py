"""
Per-address flags for the filter, which cannot read the account book.

`chatmail-accounts` creates an empty file for an address, named by its hash, and the filter checks
whether it exists. The directories are in /run; `chatmail-accounts` writes the flags again that must
survive a reboot.

    revoked     accounts that were blocked or deleted after their login. They cannot log in again,
                and Dovecot closes their connections. But Postfix never repeats the check for an
                authenticated session. No session survives a reboot, so these flags need not.
    exceptions  accounts for which `incoming.cleartext` is inverted.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


class AddressFlags:
    """The addresses marked in one directory, case-insensitive."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which need not exist yet."""
        self.directory = directory

    def _file(self, address: str) -> Path:
        name = hashlib.sha256(address.lower().encode("utf-8", "replace")).hexdigest()
        return self.directory / name

    def add(self, address: str) -> None:
        """Mark an address; raises OSError."""
        self._file(address).touch(0o444)

    def remove(self, address: str) -> None:
        """Remove the mark of an address; raises OSError."""
        self._file(address).unlink(missing_ok=True)

    def replace(self, addresses: Iterable[str]) -> None:
        """Make this the exact set; addresses already marked stay so throughout; raises OSError."""
        wanted = {self._file(address) for address in addresses}
        for file in wanted:
            file.touch(0o444)
        for file in self.directory.iterdir():
            if file not in wanted:
                file.unlink(missing_ok=True)

    def __contains__(self, address: str) -> bool:
        """Return whether an address is marked."""
        # Path.exists would raise if the directory cannot be read.
        return os.path.exists(self._file(address))  # noqa: PTH110
