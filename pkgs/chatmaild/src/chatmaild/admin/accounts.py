"""`chatmail accounts`: who is there, since when, how much room they take; and changing that."""

import argparse
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chatmaild.admin import control
from chatmaild.admin.cli import CommandError
from chatmaild.book.accounts import SECONDS_PER_DAY, Account, Book, BookError
from chatmaild.book.cleartext import Cleartext
from chatmaild.config import Config

CHANGES = {"block": "is blocked", "unblock": "is unblocked", "delete": "is deleted"}
CLEARTEXT = {"allow": True, "refuse": False, "default": None}


def run(config: Config, options: argparse.Namespace) -> int:
    """List all accounts, show one, or change one."""
    if options.action in CHANGES:
        return _change(config, options.action, options.address.lower())
    if options.action == "cleartext":
        address = options.address.lower()
        control.ask(
            config, "/accounts/cleartext", address=address, allowed=CLEARTEXT[options.choice]
        )
        print(f"{address}: unencrypted mail {_rule(config, CLEARTEXT[options.choice])}")
        return 0
    try:
        book = Book.open_reader(config.paths.account_book)
        try:
            if options.action == "show":
                _show(config, book, options.address.lower(), as_json=options.json)
            else:
                _list(config, book, as_json=options.json)
        finally:
            book.close()
    except BookError as error:
        raise CommandError(str(error)) from None
    return 0


def _change(config: Config, action: str, address: str) -> int:
    answer = control.ask(config, f"/accounts/{action}", address=address)
    print(f"{address} {CHANGES[action]}")
    if warning := answer.get("warning"):
        raise CommandError(f"its connections may be open for up to an hour: {warning}")
    return 0


def _list(config: Config, book: Book, *, as_json: bool) -> None:
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


def _show(config: Config, book: Book, address: str, *, as_json: bool) -> None:
    account = book.find(address)
    if account is None:
        raise CommandError(f"there is no account {address}")
    chosen = Cleartext(book).of(address)
    entry = describe(config, account) | {"cleartext": chosen}
    if as_json:
        print(json.dumps(entry, indent=2))
        return
    print(f"address     {entry['address']}")
    print(f"created     {entry['created']}")
    print(f"last login  {entry['last_login'] or 'never'}")
    print(f"blocked     {'yes' if entry['blocked'] else 'no'}")
    print(f"cleartext   {_rule(config, chosen)}")
    print(f"size        {human_size(entry['size'])}")
    print(f"mailbox     {entry['mailbox']}")


def _rule(config: Config, chosen: bool | None) -> str:
    if chosen is None:
        return f"comes in as on the whole relay: {'yes' if config.incoming.cleartext else 'no'}"
    return "may come in" if chosen else "is refused"


def describe(config: Config, account: Account) -> dict[str, Any]:
    """Say about an account what an operator may know: days as ISO 8601, `size` in bytes."""
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


def iso_day(day: int) -> str:
    """Write a day counted since 1970-01-01."""
    return datetime.fromtimestamp(day * SECONDS_PER_DAY, UTC).date().isoformat()


def disk_usage(directory: Path) -> int:
    """Count the bytes a directory takes on disk; what vanishes meanwhile counts nothing."""
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


def human_size(size: float) -> str:
    """Write bytes as a person reads them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:  # noqa: PLR2004 - the step between the units
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
