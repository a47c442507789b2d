"""`chatmail queue`: shows mail that waits, by destination, and changes what becomes of it."""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chatmaild.admin.command import CommandError, add_json
from chatmaild.config import Config
from chatmaild.text import human_age, human_size

if TYPE_CHECKING:
    from chatmaild.postfix.queue import QueuedMessage

HELP = "show waiting mail by destination; retry, hold, release, drop or bounce it"
LISTING_SECONDS = 60.0
DONE = {
    "retry": "tried again",
    "hold": "held",
    "release": "released",
    "drop": "dropped",
    "bounce": "returned to the sender",
}
# These affect all recipients of a message.
WHOLE_MESSAGES = ("hold", "drop", "bounce")


@dataclass(slots=True)
class Destination:
    """The mail that waits for one domain."""

    name: str
    messages: int = 0
    held: int = 0
    oldest: int = 0
    """UNIX time, like `next_try`, which is None if unknown."""
    next_try: int | None = None
    reasons: Counter[str] = field(default_factory=Counter)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the actions; without one, all destinations are listed."""
    add_json(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, text in (
        ("show", "show messages, with their addresses"),
        ("retry", "try to deliver now"),
        ("hold", "keep messages without trying to deliver them"),
        ("release", "end the hold"),
        ("drop", "delete messages without notifying their senders"),
        ("bounce", "give up and notify the senders"),
    ):
        action = actions.add_parser(name, help=text)
        if name == "show":
            action.add_argument(
                "--json", action="store_true", help="print one JSON object per line"
            )
        action.add_argument(
            "what", metavar="WHAT", nargs="+", help="a domain, an address, or the ID of a message"
        )


def run(_config: Config, options: argparse.Namespace) -> int:
    """List destinations, or act on messages."""
    from chatmaild.postfix import queue_control
    from chatmaild.postfix.queue import Listing, QueueError

    listing = Listing(seconds=LISTING_SECONDS)
    try:
        messages = list(listing)
        if not listing.complete:
            print("chatmail queue: the list is incomplete", file=sys.stderr)
        if options.action in {None, "show"}:
            tries = queue_control.next_tries(queue_control.directory())
            if options.action is None:
                _list(messages, tries, as_json=options.json)
                return 0
            return _show(messages, tries, options.what, as_json=options.json)
        if os.geteuid():
            raise CommandError("only root may do that")
        return _change(options.action, messages, options.what)
    except QueueError as error:
        raise CommandError(str(error)) from None


def destinations(messages: Iterable["QueuedMessage"], tries: dict[str, int]) -> list[Destination]:
    """Group messages by the domains that they wait for, the largest group first."""
    from chatmaild.postfix.queue import without_addresses

    found: dict[str, Destination] = {}
    for message in messages:
        for name in _domains(message):
            one = found.setdefault(name, Destination(name, oldest=message.arrived))
            one.messages += 1
            one.held += message.queue == "hold"
            one.oldest = min(one.oldest, message.arrived)
            again = tries.get(message.id) if message.queue == "deferred" else None
            if again is not None:
                one.next_try = again if one.next_try is None else min(one.next_try, again)
        for recipient in message.recipients:
            if recipient.reason:
                reason = without_addresses(recipient.reason)
                found[_domain(recipient.address)].reasons[reason] += 1
    return sorted(found.values(), key=lambda one: (-one.messages, one.name))


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


def _domains(message: "QueuedMessage") -> set[str]:
    return {_domain(recipient.address) for recipient in message.recipients}


def _list(messages: list["QueuedMessage"], tries: dict[str, int], *, as_json: bool) -> None:
    now = int(time.time())
    found = destinations(messages, tries)
    if as_json:
        print(json.dumps([_described(one, now) for one in found], indent=2))
        return
    if not found:
        print("no mail is waiting")
        return
    width = max(len("destination"), *(len(one.name) for one in found))
    print(
        f"{'destination':{width}}  {'mail':>6}  {'held':>6}  {'oldest':>7}  {'next try':>9}  reason"
    )
    for one in found:
        reason = one.reasons.most_common(1)[0][0] if one.reasons else ""
        print(
            f"{one.name:{width}}  {one.messages:6}  {one.held:6}"
            f"  {human_age(now - one.oldest):>7}  {_when(one.next_try, now):>9}  {reason}"
        )


def _when(moment: int | None, now: int) -> str:
    if moment is None:
        return ""
    return "now" if moment <= now else f"in {human_age(moment - now)}"


def _described(one: Destination, now: int) -> dict[str, Any]:
    return {
        "destination": one.name,
        "messages": one.messages,
        "held": one.held,
        "oldest_seconds": now - one.oldest,
        "next_try_seconds": None if one.next_try is None else max(one.next_try - now, 0),
        "reason": one.reasons.most_common(1)[0][0] if one.reasons else None,
    }


def _chosen(messages: list["QueuedMessage"], what: str) -> list["QueuedMessage"]:
    """Return the messages with this ID, or for this domain or address."""
    wanted = what.lower()
    return [
        message
        for message in messages
        if what == message.id
        or wanted in _domains(message)
        or wanted in {recipient.address.lower() for recipient in message.recipients}
    ]


def _show(
    messages: list["QueuedMessage"], tries: dict[str, int], what: list[str], *, as_json: bool
) -> int:
    now = int(time.time())
    failed = 0
    for one in what:
        chosen = _chosen(messages, one)
        failed |= _report_none(one, chosen)
        for message in chosen:
            again = tries.get(message.id) if message.queue == "deferred" else None
            if as_json:
                print(json.dumps(_full(message, again, now)))
                continue
            trying = f", next try {_when(again, now)}" if again is not None else ""
            age = human_age(now - message.arrived)
            print(f"{message.id}  {message.queue}, {human_size(message.size)}, {age} old{trying}")
            print(f"  from {message.sender}")
            for recipient in message.recipients:
                print(f"  to   {recipient.address}")
                if recipient.reason:
                    print(f"       {recipient.reason}")
    return failed


def _full(message: "QueuedMessage", again: int | None, now: int) -> dict[str, Any]:
    return {
        "id": message.id,
        "queue": message.queue,
        "age_seconds": now - message.arrived,
        "size": message.size,
        "next_try_seconds": None if again is None else max(again - now, 0),
        "sender": message.sender,
        "recipients": [
            {"address": one.address, "reason": one.reason or None} for one in message.recipients
        ],
    }


def _change(action: str, messages: list["QueuedMessage"], what: list[str]) -> int:
    from chatmaild.postfix import queue_control

    failed = 0
    for one in what:
        chosen = _chosen(messages, one)
        failed |= _report_none(one, chosen)
        if action in WHOLE_MESSAGES:
            chosen = _alone(one, chosen)
        if not chosen:
            continue
        ids = [message.id for message in chosen]
        if action == "retry":
            changed = queue_control.retry(ids)
        else:
            changed = queue_control.change(queue_control.Change(action), ids)
        if action == "bounce":
            # Postfix gives up at the next attempt.
            queue_control.retry(ids)
        print(f"{one}: {_count(changed)} {DONE[action]}")
    return failed


def _report_none(what: str, chosen: list["QueuedMessage"]) -> int:
    if chosen:
        return 0
    print(f"chatmail queue: no mail is waiting for {what}", file=sys.stderr)
    return 1


def _alone(what: str, chosen: list["QueuedMessage"]) -> list["QueuedMessage"]:
    """Keep messages that wait only for this destination, and messages that are given by ID."""
    alone = [
        message
        for message in chosen
        if what == message.id
        or _domains(message) == {what.lower()}
        or {recipient.address.lower() for recipient in message.recipients} == {what.lower()}
    ]
    if others := [message.id for message in chosen if message not in alone]:
        print(
            f"chatmail queue: {_count(len(others))} not changed, because they also wait for other"
            f" destinations; to change them, give their IDs: {' '.join(others[:20])}",
            file=sys.stderr,
        )
    return alone


def _count(number: int) -> str:
    return "1 message is" if number == 1 else f"{number} messages are"
