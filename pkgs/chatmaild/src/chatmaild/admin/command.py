"""Errors, arguments and words that the operator's commands share."""

import argparse
import datetime
from typing import Protocol

from chatmaild.config import Config

EPOCH = datetime.date(1970, 1, 1)


class CommandError(Exception):
    """The command failed; the message is one sentence."""


class UsageError(CommandError):
    """The arguments do not fit together; the message is one sentence."""


class Command(Protocol):
    """A module that is one command; `HELP` is one line."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Describe the command's arguments."""

    def run(self, config: Config, options: argparse.Namespace, /) -> int:
        """Run the command; return the exit code. Raises `CommandError`."""


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option that every command with machine-readable output has."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def number(text: str) -> int:
    """
    Parse a number of at least 1, for argparse.

    Raises:
        ValueError: it is not one; argparse puts this function's name into its message.

    """
    result = int(text)
    if result < 1:
        raise ValueError
    return result


def iso_day(day: int) -> str:
    """Write a day counted since 1970-01-01 as ISO 8601."""
    return (EPOCH + datetime.timedelta(days=day)).isoformat()
