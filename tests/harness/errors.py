"""The errors of the lab: each one sentence for the person at the terminal, remedy included."""

from __future__ import annotations


class LabError(Exception):
    """Something the lab needs is missing or went wrong; `str()` is the sentence to show."""


class DeadlineError(LabError):
    """A deadline passed; the message says what was awaited, how long, and what was seen last."""


class CommandFailedError(LabError):
    """A command ended with another status than 0; the message carries the end of what it said."""

    def __init__(self, command: str, status: int, output: str) -> None:
        self.command = command
        self.status = status
        self.output = output
        tail = "\n".join(output.strip().splitlines()[-12:])
        super().__init__(f"`{command}` ended with status {status}" + (f":\n{tail}" if tail else ""))
