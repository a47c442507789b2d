"""`chatmail accounts`: lists accounts with their age and size, and changes them."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatmaild.admin import control
from chatmaild.admin.command import CommandError, add_json, iso_day
from chatmaild.config import Config
from chatmaild.text import human_size

if TYPE_CHECKING:
    from chatmaild.book.accounts import Account, Book

HELP = "list, show, block, unblock or delete accounts"
CHANGES = {"block": "is blocked", "unblock": "is unblocked", "delete": "is deleted"}
CLEARTEXT = {"allow": True, "refuse": False, "default": None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list all accounts")
    add_json(listing)
    showing = actions.add_parser("show", help="show accounts")
    changing = [
        actions.add_parser(name, help=text)
        for name, text in (
            ("block", "refuse logins and mail of accounts, and close their connections"),
            ("unblock", "allow logins and mail again"),
            ("delete", "delete accounts, with all of their mail and device tokens"),
        )
    ]
    choosing = actions.add_parser(
        "cleartext", help="allow or refuse unencrypted mail from other servers to accounts"
    )
    for action in (showing, *changing, choosing):
        action.add_argument("addresses", metavar="ADDRESS", nargs="+", type=str.lower)
    showing.add_argument("--json", action="store_true", help="print one JSON object per line")
    choosing.add_argument("choice", choices=CLEARTEXT, help="`default` is the setting of the relay")


def run(config: Config, options: argparse.Namespace) -> int:
    """List all accounts, or show or change some."""
    if options.action in CHANGES:
        return _each(options.addresses, lambda address: _change(config, options.action, address))
    if options.action == "cleartext":
        choice = CLEARTEXT[options.choice]
        return _each(options.addresses, lambda address: _choose(config, address, choice))
    from chatmaild.book.accounts import Book, BookError

    try:
        book = Book.open_reader(config.paths.account_book)
        try:
            if options.action == "list":
                _list(config, book, as_json=options.json)
                return 0
            show = _show_json if options.json else _show
            return _each(options.addresses, lambda address: show(config, book, address))
        finally:
            book.close()
    except BookError as error:
        raise CommandError(str(error)) from None


def _each(addresses: list[str], act: Callable[[str], None]) -> int:
    """Act on every address, even after a failure; return 1 if one failed."""
    failed = 0
    for address in dict.fromkeys(addresses):
        try:
            act(address)
        except CommandError as error:
            print(f"chatmail accounts: {error}", file=sys.stderr)
            failed = 1
    return failed


def _change(config: Config, action: str, address: str) -> None:
    answer = control.ask(config, f"/accounts/{action}", address=address)
    print(f"{address} {CHANGES[action]}")
    if warning := answer.get("warning"):
        raise CommandError(f"{address}: connections may stay open for up to an hour: {warning}")


def _choose(config: Config, address: str, choice: bool | None) -> None:
    control.ask(config, "/accounts/cleartext", address=address, allowed=choice)
    print(f"{address}: unencrypted mail is {_rule(config, choice)}")


def _list(config: Config, book: "Book", *, as_json: bool) -> None:
    described = (describe(config, account) for account in book.accounts())
    if as_json:
        print(json.dumps(list(described), indent=2))
        return
    print(f"{'created':10}  {'last login':10}  {'size':>9}  address")
    for entry in described:
        blocked = "  blocked" if entry["blocked"] else ""
        print(
            f"{entry['created']:10}  {entry['last_login'] or 'never':10}"
            f"  {human_size(entry['size']):>9}  {entry['address']}{blocked}"
        )


def _show(config: Config, book: "Book", address: str) -> None:
    entry = _detailed(config, book, address)
    print(f"address     {entry['address']}")
    print(f"created     {entry['created']}")
    print(f"last login  {entry['last_login'] or 'never'}")
    print(f"blocked     {'yes' if entry['blocked'] else 'no'}")
    print(f"cleartext   {_rule(config, entry['cleartext'])}")
    print(f"size        {human_size(entry['size'])}")
    print(f"mailbox     {entry['mailbox']}")


def _show_json(config: Config, book: "Book", address: str) -> None:
    print(json.dumps(_detailed(config, book, address)))


def _detailed(config: Config, book: "Book", address: str) -> dict[str, Any]:
    from chatmaild.book.cleartext import Cleartext

    account = book.find(address)
    if account is None:
        raise CommandError(f"there is no account {address}")
    return describe(config, account) | {"cleartext": Cleartext(book).of(address)}


def _rule(config: Config, choice: bool | None) -> str:
    allowed = config.incoming.cleartext if choice is None else choice
    return f"{'allowed' if allowed else 'refused'}{' by default' if choice is None else ''}"


def describe(config: Config, account: "Account") -> dict[str, Any]:
    """Return the facts that an operator may see: days as ISO 8601, `size` in bytes."""
    mailbox = config.paths.mailboxes / account.address
    last = account.last_login_day
    return {
        "address": account.address,
        "created": iso_day(account.created_day),
        "last_login": None if last is None else iso_day(last),
        "blocked": account.blocked,
        "size": disk_usage(mailbox),
        "mailbox": str(mailbox),
    }


def disk_usage(directory: Path) -> int:
    """Count the bytes that a directory takes on disk; files that are deleted meanwhile count 0."""
    total = 0
    for parent, _, names in os.walk(directory):
        total += _blocks(Path(parent, name) for name in names)
    return total


def _blocks(files: Iterable[Path]) -> int:
    total = 0
    for file in files:
        try:
            total += file.lstat().st_blocks * 512
        except OSError:
            continue
    return total
