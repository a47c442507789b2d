"""`chatmail invites`: links that give an address on a relay by invitation."""

import argparse
import json
import time
from typing import Any

import segno

from chatmaild.admin.accounts import iso_day
from chatmaild.admin.control import ask
from chatmaild.book.accounts import SECONDS_PER_DAY
from chatmaild.config import Config
from chatmaild.web.credentials import by_login_link


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
    segno.make(shown["link"], error="l", micro=False).terminal(compact=True)
    until = f", until {shown['last_day']}" if shown["last_day"] else ""
    print(f"invite {shown['id']}: {_accounts(shown['uses'])}{until}")
    if config.registration != "invite":
        print(f'Nobody needs it now: `registration` is "{config.registration}".')


def _list(config: Config, *, as_json: bool) -> None:
    found = [describe(config, invite) for invite in ask(config, "/invites/list")["invites"]]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'id':>4}  {'used':>9}  {'last day':10}  {'':8}  link and comment")
    for one in found:
        used = f"{one['used']}/{one['uses']}"
        good = "" if one["good"] else "over"
        print(f"{one['id']:>4}  {used:>9}  {one['last_day'] or 'none':10}  {good:8}  {one['link']}")
        if one["comment"]:
            print(f"{'':39}  {one['comment']}")


def describe(config: Config, invite: dict[str, Any]) -> dict[str, Any]:
    """Write an invite as a person reads it: days as ISO 8601, the link instead of the token."""
    last = invite["last_day"]
    token = invite["token"]
    today = int(time.time()) // SECONDS_PER_DAY
    return {
        "id": invite["id"],
        # The relay's page makes a login of the token where clients cannot.
        "link": f"https://{config.host}/?t={token}"
        if by_login_link(config)
        else f"DCACCOUNT:https://{config.host}/new?t={token}",
        "comment": invite["comment"],
        "uses": invite["uses"],
        "used": invite["used"],
        "created": iso_day(invite["created_day"]),
        "last_day": None if last is None else iso_day(last),
        "good": invite["used"] < invite["uses"] and (last is None or today <= last),
    }


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count} accounts"
