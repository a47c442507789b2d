"""What the operator's commands share: their errors, and the arguments and words that recur."""

import argparse
import datetime
from typing import Protocol

from chatmaild.config import Config

EPOCH = datetime.date(1970, 1, 1)


class CommandError(Exception):
    """The command did not work; the text is one sentence."""


class UsageError(CommandError):
    """The arguments do not fit together; the text is one sentence."""


class Command(Protocol):
    """A module that is one command; `HELP` is one line."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Describe the command's arguments."""

    def run(self, config: Config, options: argparse.Namespace, /) -> int:
        """Do it; return the exit code. Raises `CommandError`."""


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option that every command with results for programs has."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def number(text: str) -> int:
    """
    Read a number of at least 1, for argparse.

    Raises:
        ValueError: it is not one; argparse names this function in its sentence.

    """
    result = int(text)
    if result < 1:
        raise ValueError
    return result


def iso_day(day: int) -> str:
    """Write a day counted since 1970-01-01 as ISO 8601."""
    return (EPOCH + datetime.timedelta(days=day)).isoformat()
