"""
The nightly expiry: its duration for all mailboxes, and its effect on deliveries.

A message here is an empty file, because expiry reads only its name and its times. One in twenty is
due, as on a relay that keeps mail for twenty days and deletes one day's mail each night.
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import messages
from bench.load import Spec, run_load
from bench.pipeline import Bench
from harness.archive import File
from harness.progress import say
from harness.relay import Relay

DAY = 86400
MAKING_SECONDS = 1800
NIGHT_SECONDS = 900
PER_ACCOUNT = 10
# Runs on the relay's machine as the mailboxes' owner: book, mailboxes, accounts, domain.
MAKE = """
import os, sqlite3, sys, time

book, mailboxes, accounts, per_account, domain = sys.argv[1:]
now = int(time.time())
names = [f"b{number:08d}@{domain}" for number in range(int(accounts))]
with sqlite3.connect(book, timeout=60) as connection:
    connection.executemany(
        "INSERT INTO accounts (address, password, created_day, last_login_day)"
        " VALUES (?, '!', ?, ?)",
        ((name, now // 86400 - 30, now // 86400) for name in names),
    )
connection.close()
message = 0
for name in names:
    for part in ("", "/Maildir", "/Maildir/cur", "/Maildir/new", "/Maildir/tmp"):
        os.mkdir(f"{mailboxes}/{name}{part}", 0o700)
    for _ in range(int(per_account)):
        message += 1
        stamp = now - 3600 - message % 20 * 86400 - (86400 if message % 20 == 19 else 0)
        file = f"{mailboxes}/{name}/Maildir/cur/{stamp}.M{message}P1.relay,S=4711,W=4800:2,S"
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
"""
REPORT = re.compile(
    r"(?P<mailboxes>\d+) mailboxes with (?P<messages>\d+) messages .* removed (?P<removed>\d+) .*; "
    r"(?P<seconds>[\d.]+) s, (?P<megabytes>\d+) MB"
)


@dataclass(frozen=True)
class Night:
    """The results of one run of chatmail-expire, from its own report."""

    mailboxes: int
    messages: int
    removed: int
    seconds: float
    megabytes: int


@dataclass(frozen=True)
class Expiry:
    """Several runs, the first with mail to delete, and the latencies of deliveries in seconds."""

    nights: list[Night]
    before: list[float]
    meanwhile: list[float]


def make(relay: Relay, accounts: int) -> None:
    """Create accounts with mailboxes of ten messages each."""
    paths = relay.value.daemons["paths"]
    relay.machine.unpack({"/usr/local/lib/make-mailboxes.py": File(MAKE)})
    words = ["runuser", "-u", "vmail", "--", "python3", "/usr/local/lib/make-mailboxes.py"]
    words += [paths["accountBook"], paths["mailboxes"], str(accounts), str(PER_ACCOUNT)]
    relay.machine.run([*words, relay.domain], timeout=MAKING_SECONDS)
    today = int(time.time()) // DAY
    note = json.dumps({"last_run_day": today, "until_day": today})
    path = paths["expiryHold"]
    relay.machine.unpack({path: File(note, mode="0600")})
    relay.machine.run(["chown", "vmail:vmail", path])


def night(relay: Relay) -> Night:
    """Run the expiry as the timer does."""
    cursor = relay.machine.cursor()
    relay.machine.run(["systemctl", "start", "chatmail-expire.service"], timeout=NIGHT_SECONDS)
    said = relay.machine.journal("chatmail-expire.service", after=cursor)
    found = REPORT.search(said)
    if found is None:
        raise ValueError(f"chatmail-expire reported nothing: {said[-2000:]}")
    counts = {name: int(found[name]) for name in ("mailboxes", "messages", "removed", "megabytes")}
    return Night(seconds=float(found["seconds"]), **counts)


@contextmanager
def nights(relay: Relay) -> Iterator[list[Night]]:
    """Run the expiry repeatedly; the list is complete at the end."""
    done: list[Night] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            done.append(night(relay))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield done
    finally:
        stop.set()
        worker.join()


def row(spec: Spec) -> list[float]:
    """Send a series of messages; return the seconds from DATA's end to each announcement."""
    return run_load(spec).latencies


def measure(relay: Relay, *, quick: bool) -> Expiry:
    """Measure a relay that was booted with bench.pipeline.SETTINGS."""
    accounts, count = (50, 5) if quick else (100_000, 150)
    say(f"· {accounts} accounts with {accounts * PER_ACCOUNT} messages")
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(relay, Path(place))
        bench.accounts = [relay.credentials() for _ in range(2)]
        body = Path(place) / "body"
        body.write_bytes(messages.body(3_000))
        with bench.holding(len(bench.accounts)):
            pass
        make(relay, accounts)
        spec = bench.spec("row", messages=count, gap=0.1, body=str(body))
        say("· deliveries without and with expiry")
        before = row(spec)
        with nights(relay) as done:
            meanwhile = row(spec)
        return Expiry(done, before, meanwhile)
