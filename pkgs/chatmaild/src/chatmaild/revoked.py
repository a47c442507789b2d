"""
Addresses whose open SMTP sessions must end: blocked or deleted since they logged in.

Who is blocked cannot log in, and Dovecot cuts who is connected to it. But a session with Postfix,
once logged in, stays so, and Postfix asks nobody again. So `chatmail-accounts` leaves an empty file
for the address, named by its hash, and the filter looks for it at every message. It lies in /run:
no session outlives a reboot.
"""

import hashlib
import os
from pathlib import Path


def _mark(directory: Path, address: str) -> Path:
    return directory / hashlib.sha256(address.lower().encode("utf-8", "replace")).hexdigest()


def mark(directory: Path, address: str) -> None:
    """Let no session of this address send; raises OSError."""
    _mark(directory, address).touch(0o444)


def unmark(directory: Path, address: str) -> None:
    """Let sessions of this address send again; raises OSError."""
    _mark(directory, address).unlink(missing_ok=True)


def is_marked(directory: Path, address: str) -> bool:
    """Say whether an address was blocked or deleted since the machine has booted."""
    # Not Path.exists, which raises where the directory may not be looked into.
    return os.path.exists(_mark(directory, address))  # noqa: PTH110
