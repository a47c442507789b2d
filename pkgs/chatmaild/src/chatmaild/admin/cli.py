"""
`chatmail`, the operator's command: selects a subcommand and runs it.

Exit code 0 means success, 1 that the command failed or found a fault of the relay, and 2 that it
was mistyped. Each command is a module that describes itself. It loads its libraries only when it
runs, so that help and hints appear at once.
"""

import argparse
import difflib
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

import chatmaild
from chatmaild.admin import (
    accounts,
    certificate,
    dns,
    expire,
    invite,
    invites,
    queue,
    registration,
    status,
)
from chatmaild.admin.command import Command, CommandError, UsageError
from chatmaild.config import DEFAULT_PATH, ConfigError, load
from chatmaild.service import journal

COMMANDS: dict[str, Command] = {
    "status": status,
    "dns": dns,
    "accounts": accounts,
    "registration": registration,
    "invites": invites,
    "queue": queue,
    "expire": expire,
    "invite": invite,
    "certificate": certificate,
}


class _Parser(argparse.ArgumentParser):
    """Reports a mistyped word, the command that does not know it, and the likely word."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown words here, because only this parser knows the likely ones."""
        words = sys.argv[1:] if args is None else list(args)
        for word in words:
            if not word.startswith("-"):
                break
            # argparse would mistake the value of an unknown option for the command.
            if word.partition("=")[0] not in self._options():
                self._refuse(word)
        found, unknown = super().parse_known_args(words, namespace)
        if unknown:
            self._refuse(unknown[0])
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print the sentence and the usage; exit with code 2."""
        if choice := re.search(r"invalid choice: '([^']*)' \(choose from ([^)]*)\)", message):
            message += _hint(choice[1], re.findall(r"[\w-]+", choice[2]))
        self.exit(2, f"{self.prog}: {message}\n{self.format_usage()}")

    def _refuse(self, word: str) -> NoReturn:
        if not word.startswith("-"):
            self.error(f"unexpected argument `{word}`")
        name = word.partition("=")[0]
        self.error(f"unknown option `{name}`{_hint(name, self._options())}")

    def _options(self) -> list[str]:
        return [option for action in self._actions for option in action.option_strings]


def _hint(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    result = _Parser(prog="chatmail", description="Manage this chatmail relay.", allow_abbrev=False)
    result.add_argument("--version", action="version", version=f"chatmail {chatmaild.__version__}")
    result.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_PATH,
        metavar="FILE",
        help="configuration file (default: %(default)s)",
    )
    commands = result.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        sentence = f"{command.HELP[0].upper()}{command.HELP[1:]}."
        described = commands.add_parser(
            name, help=command.HELP, description=sentence, allow_abbrev=False
        )
        described.set_defaults(parser=described)
        command.add_arguments(described)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except OSError:
        fault = _output_fault()
        if fault is None:
            raise
        # `chatmail accounts list | head` has read enough; that needs no message.
        if not isinstance(fault, BrokenPipeError):
            print(f"chatmail: the output cannot be written: {fault.strerror}", file=sys.stderr)
        # Otherwise Python would try again at exit and print a warning.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(arguments: list[str] | None) -> int:
    options = parser().parse_args(arguments)
    command = COMMANDS[options.command]
    described: _Parser = options.parser
    try:
        return command.run(load(options.config), options)
    except UsageError as error:
        described.error(str(error))
    except (CommandError, ConfigError) as error:
        print(journal.with_priority(f"chatmail {options.command}: {error}"), file=sys.stderr)
        return 1


def _output_fault() -> OSError | None:
    """Return why standard output cannot be written: writing the rest fails again."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    return None
