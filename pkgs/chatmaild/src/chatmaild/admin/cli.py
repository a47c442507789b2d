"""
`chatmail`, the operator's command.

Exit code 2 means that the command was mistyped, 1 that it did not work or that something is wrong
with the relay. Each subcommand lives in its own module, loaded only when it is the one asked for.
"""

import argparse
import difflib
import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from chatmaild.config import DEFAULT_PATH, ConfigError, load
from chatmaild.service import journal

# name, module, what it does
COMMANDS = (
    ("status", "status", "say whether this relay works"),
    ("dns", "dns", "print, check or publish the DNS zone this relay needs"),
    ("accounts", "accounts", "list, show, block, unblock or delete accounts, choose for one"),
    ("registration", "registration", "stop and start new addresses at once"),
    ("invites", "invites", "make, list and withdraw invites"),
    ("expire", "expire", "let old mail and idle accounts go now, or say what would go"),
    ("invite", "invite", "print the invite link and its QR code"),
    ("certificate", "certificate", "make or renew the self-signed certificate"),
)


class CommandError(Exception):
    """The command did not work; the text is one sentence."""


class _Parser(argparse.ArgumentParser):
    """Adds "did you mean" to argparse's own sentence about a wrong word."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and the usage; exit with code 2."""
        self.exit(2, f"{self.prog}: {message}{_hint(message)}\n{self.format_usage()}")


def _hint(message: str) -> str:
    """Find the word that was meant; argparse names the wrong one, and for commands the choices."""
    if choice := re.search(r"invalid choice: '([^']*)' \(choose from ([^)]*)\)", message):
        word, words = choice[1], re.findall(r"[\w-]+", choice[2])
    elif option := re.search(r"unrecognized arguments: (--[\w-]+)", message):
        word, words = option[1], ["--config", "--help", "--json", "--unsplit"]
    else:
        return ""
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    result = _Parser(
        prog="chatmail", description="Look after this chatmail relay.", allow_abbrev=False
    )
    result.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_PATH,
        metavar="FILE",
        help="configuration file (default: %(default)s)",
    )
    commands = result.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, _, text in COMMANDS:
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        _ARGUMENTS[name](command)
    return result


def _accounts(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list all accounts")
    listing.add_argument("--json", action="store_true", help="for programs")
    showing = actions.add_parser("show", help="show one account")
    showing.add_argument("address", metavar="ADDRESS")
    showing.add_argument("--json", action="store_true", help="for programs")
    for name, text in (
        ("block", "refuse logins and mail of an account, and cut its connections"),
        ("unblock", "let a blocked account in again"),
        ("delete", "delete an account with everything of it"),
    ):
        actions.add_parser(name, help=text).add_argument("address", metavar="ADDRESS")
    choosing = actions.add_parser(
        "cleartext", help="let unencrypted mail from elsewhere in for one account, or not"
    )
    choosing.add_argument("address", metavar="ADDRESS")
    choosing.add_argument("choice", choices=("allow", "refuse", "default"))


def _invites(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    adding = actions.add_parser("add", help="make one, and print its link and QR code")
    adding.add_argument(
        "--uses", type=_positive, default=1, metavar="N", help="accounts it makes (default: 1)"
    )
    adding.add_argument(
        "--days", type=_positive, metavar="D", help="days it is good for (default: for ever)"
    )
    adding.add_argument("--comment", default="", metavar="TEXT", help="for you to remember")
    adding.add_argument("--json", action="store_true", help="for programs")
    listing = actions.add_parser("list", help="list all of them")
    listing.add_argument("--json", action="store_true", help="for programs")
    removing = actions.add_parser("remove", help="withdraw one; its accounts stay")
    removing.add_argument("id", type=_positive, metavar="ID")


def _registration(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("stop", "give nobody a new address, from now on"),
        ("start", "end the stop"),
        ("show", "say who gets a new address now"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("--json", action="store_true", help="for programs")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


_positive.__name__ = "number"  # argparse names it in its sentence about a wrong value


def _dns(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--unsplit",
        action="store_true",
        help="write long TXT values as one string, for web forms that split them by themselves",
    )
    what = command.add_mutually_exclusive_group()
    what.add_argument(
        "--check",
        action="store_true",
        help="ask the domain's name servers and tell all that is missing or wrong"
        " (exit code 1 if anything required is)",
    )
    what.add_argument(
        "--update",
        action="store_true",
        help="write the records to the primary name server (RFC 2136)",
    )
    command.add_argument("--server", metavar="ADDRESS", help="with --update: the primary's address")
    command.add_argument(
        "--key-file", type=Path, metavar="FILE", help="with --update: the TSIG key, as BIND has it"
    )


def _status(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="for programs")


def _expire(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--dry-run", action="store_true", help="remove nothing, print what would go"
    )


_ARGUMENTS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "status": _status,
    "dns": _dns,
    "accounts": _accounts,
    "expire": _expire,
    "registration": _registration,
    "invites": _invites,
    "invite": lambda _: None,
    "certificate": lambda _: None,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = parser().parse_args(arguments)
    modules = {name: module for name, module, _ in COMMANDS}
    command = importlib.import_module(f"chatmaild.admin.{modules[options.command]}")
    try:
        code: int = command.run(load(options.config), options)
        sys.stdout.flush()
    except (CommandError, ConfigError) as error:
        print(journal.with_priority(f"chatmail {options.command}: {error}"), file=sys.stderr)
        return 1
    except BrokenPipeError:
        # `chatmail accounts list | head`: nobody reads on, and Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
