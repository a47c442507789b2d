"""The errors of the lab: each is one sentence for the user, with a remedy."""

from __future__ import annotations

from pathlib import Path


class LabError(Exception):
    """Something that the lab needs is missing or failed; `str()` is the sentence to show."""


class DeadlineError(LabError):
    """A deadline passed; the message says what was expected, how long, and what was seen last."""


class CommandFailedError(LabError):
    """A command failed; the message contains the end of its output."""

    def __init__(self, command: str, status: int, output: str) -> None:
        self.command = command
        self.status = status
        self.output = output
        tail = "\n".join(output.strip().splitlines()[-12:])
        super().__init__(f"`{command}` ended with status {status}" + (f":\n{tail}" if tail else ""))


class FullDiskError(LabError):
    """A disk is full."""

    def __init__(self, place: Path, need: str) -> None:
        super().__init__(
            f"the disk with {place} is full; {need}; make room there, or choose another disk for "
            "the cache with XDG_CACHE_HOME"
        )


def is_full(output: str) -> bool:
    """Return whether a command reported a full disk, in the words of the C library or of apt."""
    said = ("No space left on device", "Disk quota exceeded", "enough free space")
    return any(words in output for words in said)
