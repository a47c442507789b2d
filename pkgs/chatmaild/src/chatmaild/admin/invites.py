"""`chatmail invites`: makes, lists and withdraws the links of a relay that requires invites."""

import argparse
import datetime
import json
from typing import Any

from chatmaild.admin import qr
from chatmaild.admin.command import EPOCH, add_json, iso_day, number
from chatmaild.admin.control import ask
from chatmaild.config import Config

HELP = "make, list or withdraw invites"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    adding = actions.add_parser("add", help="make an invite, and print its link and QR code")
    adding.add_argument(
        "--uses", type=number, default=1, metavar="N", help="number of accounts (default: 1)"
    )
    adding.add_argument(
        "--days", type=number, metavar="D", help="days until it expires (default: never)"
    )
    adding.add_argument("--comment", default="", metavar="TEXT", help="a note for yourself")
    add_json(adding)
    add_json(actions.add_parser("list", help="list all invites"))
    removing = actions.add_parser("remove", help="withdraw an invite; its accounts remain")
    removing.add_argument("id", type=number, metavar="ID")


def run(config: Config, options: argparse.Namespace) -> int:
    """Add, list or remove."""
    if options.action == "add":
        _add(config, options)
    elif options.action == "list":
        _list(config, as_json=options.json)
    else:
        ask(config, "/invites/remove", id=options.id)
        print(f"invite {options.id} is withdrawn")
    return 0


def _add(config: Config, options: argparse.Namespace) -> None:
    invite = ask(
        config, "/invites/add", uses=options.uses, days=options.days, comment=options.comment
    )
    shown = describe(config, invite)
    if options.json:
        print(json.dumps(shown, indent=2))
        return
    print(shown["link"])
    print(qr.code(shown["link"]))
    until = f", until {shown['last_day']}" if shown["last_day"] else ""
    print(f"invite {shown['id']}: {_accounts(shown['uses'])}{until}")
    if config.registration == "open":
        print("This relay is open, so a new address does not require an invite at present.")
    elif config.registration == "closed":
        print("This relay is closed: the invite has no effect until `registration` is changed.")


def _list(config: Config, *, as_json: bool) -> None:
    found = [describe(config, invite) for invite in ask(config, "/invites/list")["invites"]]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'id':>4}  {'used':>9}  {'last day':10}  {'':8}  link and comment")
    for one in found:
        used = f"{one['used']}/{one['uses']}"
        good = "" if one["good"] else "expired" if one["used"] < one["uses"] else "used up"
        print(f"{one['id']:>4}  {used:>9}  {one['last_day'] or 'none':10}  {good:8}  {one['link']}")
        if one["comment"]:
            print(f"{'':39}  {one['comment']}")


def describe(config: Config, invite: dict[str, Any]) -> dict[str, Any]:
    """Return an invite for output: days as ISO 8601, and the link instead of the token."""
    from chatmaild.web.credentials import by_login_link

    last = invite["last_day"]
    token = invite["token"]
    return {
        "id": invite["id"],
        # The relay's page turns the token into a login if a client cannot.
        "link": f"https://{config.host}/?t={token}"
        if by_login_link(config)
        else f"DCACCOUNT:https://{config.host}/new?t={token}",
        "comment": invite["comment"],
        "uses": invite["uses"],
        "used": invite["used"],
        "created": iso_day(invite["created_day"]),
        "last_day": None if last is None else iso_day(last),
        "good": invite["used"] < invite["uses"] and (last is None or _today() <= last),
    }


def _today() -> int:
    return (datetime.datetime.now(datetime.UTC).date() - EPOCH).days


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count} accounts"
