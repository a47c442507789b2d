"""Mailboxes on a relay's disk: their content, and planted old mail."""

from __future__ import annotations

import json
import re
import secrets
import time
from typing import TYPE_CHECKING

from harness.archive import File

if TYPE_CHECKING:
    from harness.relay import Relay
    from people.people import Person

DAY = 86400


def home(relay: Relay, address: str) -> str:
    """Return the directory of an account."""
    return f"{relay.value.daemons['paths']['mailboxes']}/{address}"


def plant(relay: Relay, address: str, message: bytes, days: float, folder: str = "") -> str:
    """Create a message as if it had been delivered this many days ago; return its path."""
    text = message.replace(b"\r\n", b"\n")
    stamp = int(time.time() - days * DAY)
    name = f"{stamp}.M1P{secrets.randbelow(10**9)}.relay,S={len(text)},W={len(message)}"
    box = f"{home(relay, address)}/Maildir{f'/.{folder}' if folder else ''}"
    path = f"{box}/new/{name}"
    # Dovecot must not see it before it is complete and has the right owner.
    draft = f"{home(relay, address)}/{name}"
    relay.machine.unpack({draft: File(text.decode(), mode="0600")})
    relay.machine.run(["sh", "-c", 'chown vmail:vmail "$1" && mv "$1" "$2"', "sh", draft, path])
    return path


def files(relay: Relay, address: str) -> set[str]:
    """Return the paths of all messages of an account."""
    script = 'find "$1" -path "*/cur/*" -o -path "*/new/*"'
    return set(relay.machine.run(["sh", "-c", script, "sh", home(relay, address)]).out.split())


def used(person: Person) -> int:
    """Query the usage of a mailbox in bytes, rounded to KiB (RFC 9208)."""
    with person.mailbox() as box:
        _, (_, [answer]) = box.client.getquotaroot("INBOX")
    found = re.search(rb"STORAGE ([0-9]+) ", answer)
    if found is None:
        raise AssertionError(f"no quota in {answer!r}")
    return int(found[1]) * 1024


def awake(relay: Relay) -> None:
    """Make the relay believe that it was never offline, so that expiry does not pause."""
    today = int(time.time()) // DAY
    path = relay.value.daemons["paths"]["expiryHold"]
    note = json.dumps({"last_run_day": today, "until_day": today})
    relay.machine.unpack({path: File(note, mode="0600")})
    relay.machine.run(["chown", "vmail:vmail", path])


def expire(relay: Relay) -> str:
    """Run the nightly expiry; return its report."""
    cursor = relay.machine.cursor()
    relay.machine.run(["systemctl", "start", "chatmail-expire.service"], timeout=60)
    # The unit's output and its end reach the journal in different ways.
    relay.machine.run(["journalctl", "--sync"])
    return relay.machine.journal("chatmail-expire.service", after=cursor)


SEEN = """
import sqlite3, sys

path, address, day = sys.argv[1:]
book = sqlite3.connect(path, timeout=10)
changed = book.execute(
    "UPDATE accounts SET created_day = ?1, last_login_day = ?1"
    " WHERE address = ?2 AND last_login_day IS NOT NULL",
    (int(day), address),
)
book.commit()
sys.exit(changed.rowcount != 1)
"""


def last_seen(relay: Relay, address: str, days: int) -> None:
    """
    Set the last login of an account to this many days ago.

    Logins are written within 5 s, and a later one would undo this.
    """
    book, day = relay.value.daemons["paths"]["accountBook"], int(time.time()) // DAY - days
    words = ["runuser", "-u", "vmail", "--", "python3", "-c", SEEN, book, address, str(day)]
    relay.machine.wait_until(words)
