"""After a busy minute nobody can tell from the machine who was there and from where."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from harness import deltachat
from harness.process import wait_until
from harness.push_proxy import push_proxy
from people.busy_minute import ASLEEP, TRACES, BusyMinute
from people.whole_disk import search

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay
    from people.strangers import Stranger

pytestmark = pytest.mark.timeout(300)

# Limits low enough to be run into: what is logged when somebody asks for too much is part of it.
SETTINGS = {
    "accounts": {"perNetworkPerMinute": 6},
    "connections": {"perAddress": 10},
    "sending": {"perMinute": 12, "burst": 12},
    "echo": {"enable": True},
    "metrics": {"enable": True},
    "push": {"proxy": "https://push.test/notify"},
}
DAEMONS = "dovecot postfix nginx unbound"
# What no file may hold. A mailbox is named by its address, and cleartext from outside stays in it.
NOWHERE = ("client address", "client address (IPv6)", "client name", "password", "wrong password")
# What a client itself wrote into a header. Postfix takes a field out by a mark in the queue file,
# and its octets go when the message goes.
WRITTEN = ("address in a header", "name in a header")
QUEUE = "/var/spool/postfix/"


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Relay:
    """A relay that nobody else uses, all of it switched on but iroh-relay, which logs nowhere."""
    return lab.relay("_traces.test", SETTINGS)


@pytest.fixture(scope="module")
def minute(
    lab: Lab, relay: Relay, stranger: Stranger, tmp_path_factory: pytest.TempPathFactory
) -> BusyMinute:
    """Hand over what was done."""
    lab.dns.publish(ASLEEP, [("@", "MX", f"10 mx.{ASLEEP}."), ("mx", "A", "192.0.2.115")])
    done = BusyMinute(relay, stranger)
    with push_proxy(lab) as proxy:
        done.all()
        proxy.wait_for(done.token)
    with deltachat.core(tmp_path_factory.mktemp("core")) as core:
        done.echo(core)
    done.scrape()
    return done


def test_the_journal_is_in_memory_and_short(relay: Relay) -> None:
    """What was not written to the disk needs no promise to be deleted from it."""
    said = relay.machine.run(["systemd-analyze", "cat-config", "systemd/journald.conf"]).out
    told = dict(re.findall(r"^(\w+)=(.*)$", said, re.MULTILINE))

    assert (told["Storage"], told["MaxRetentionSec"]) == ("volatile", "3day")
    assert relay.machine.run("ls /run/log/journal/*/system.journal").status == 0
    assert relay.machine.run("find /var/log/journal -type f", check=False).out == ""


def test_the_relay_resolves_names_itself(relay: Relay) -> None:
    """No third party sees whom the relay's people write to."""
    assert relay.machine.read("/etc/resolv.conf") == "nameserver 127.0.0.1\n"


def test_the_journal_names_nobody(relay: Relay, minute: BusyMinute) -> None:
    """What is not written down cannot be asked for; not in the text, nor in any other field."""
    relay.machine.run(["journalctl", "--sync"])
    journal = relay.machine.run(["journalctl", "--output=json", "--all", "--no-pager"]).out
    told = {
        f"{what}: {entry.get('SYSLOG_IDENTIFIER')}: {name}: {value}"
        for entry in map(json.loads, journal.splitlines())
        for name, value in entry.items()
        for what, word in minute.words.items()
        if word in (bytes(value).decode(errors="replace") if isinstance(value, list) else value)
    }

    assert "Logged in" in journal
    assert told == set()


def test_the_numbers_name_nobody(minute: BusyMinute) -> None:
    """Prometheus keeps them for months, wherever it is."""
    assert "chatmail_" in minute.scraped
    assert [what for what, word in minute.words.items() if word in minute.scraped] == []


def test_only_what_waits_is_in_the_queue(relay: Relay, minute: BusyMinute) -> None:
    """What was refused or delivered is gone."""
    queue = [json.loads(line) for line in relay.machine.run(["postqueue", "-j"]).out.splitlines()]

    waiting = {one["address"] for message in queue for one in message["recipients"]}
    assert waiting == {f"someone@{ASLEEP}"}


def test_no_file_tells_who_was_there_from_where(relay: Relay, minute: BusyMinute) -> None:
    """
    All file systems are searched, text or not, while a message waits for another server.

    Once more when every daemon has ended, and once when nothing waits any more.
    """
    words = {what: minute.words[what] for what in NOWHERE + WRITTEN}
    for when, first, waiting in (
        ("busy", "true", 1),
        ("restarted", f"systemctl restart 'chatmail-*.service' {DAEMONS}", 1),
        ("nothing waits", "postsuper -d ALL", 0),
    ):
        relay.machine.run(first)
        assert len(relay.machine.run(["postqueue", "-j"]).out.splitlines()) == waiting
        looked = search(relay.machine, words)
        print(f"{when}: {looked.files} files, {looked.size // 1_000_000} MB")

        assert looked.unread == []
        assert looked.files > 5000
        told = [
            (what, path)
            for what, path in looked.found
            if not (waiting and what in WRITTEN and path.startswith(QUEUE))
        ]
        assert told == [], when


def test_the_account_book_counts_in_days(relay: Relay, minute: BusyMinute) -> None:
    """When somebody was there to the minute is nobody's business."""
    machine = relay.machine
    today = int(machine.run(["date", "+%s"]).out) // 86400
    script = (
        "import json, sqlite3, sys; book = sqlite3.connect(sys.argv[1]);"
        " book.row_factory = sqlite3.Row;"
        " print(json.dumps([dict(row) for row in book.execute('SELECT * FROM accounts')]))"
    )

    def rows() -> dict[str, dict[str, Any]]:
        book = relay.value.daemons["paths"]["accountBook"]
        found = json.loads(machine.run(["python3", "-c", script, book]).out)
        return {row["address"]: row for row in found}

    wait_until(
        lambda: rows()[minute.bob.address]["last_login_day"] == today,
        "the login in the account book",
        timeout=15,
    )
    for row in rows().values():
        assert {name for name in row if isinstance(row[name], int)} <= {
            "created_day",
            "last_login_day",
            "blocked",
        }
        assert max(row["created_day"], row["last_login_day"] or 0) <= today


def test_a_search_finds_what_is_there(relay: Relay) -> None:
    """In a name, a text, an archive, a structure of the kernel's, and across two reads."""
    machine = relay.machine
    machine.run(
        "mkdir -p /run/look /srv/look; cd /srv/look; touch from-192.0.2.99;"
        " printf 'a 192.0.2.99 b' | gzip >old.log.gz; printf '\\002\\000\\023\\211\\300\\000\\002c'"
        " >socket; (head -c 4194300 /dev/zero; printf '2001:db8::99') >across;"
        " printf ' 192.0.2.991 ' >another; printf 'C0000263' >/run/look/hex"
    )
    found = search(machine, {"v4": "192.0.2.99", "v6": "2001:db8::99"}).found
    machine.run("rm -r /srv/look /run/look")

    # The manuals of other programs have such addresses in their examples.
    laid = {(what, path) for what, path in found if "/look/" in path}
    assert laid == {
        ("v4", "/srv/look/from-192.0.2.99"),
        ("v4", "/srv/look/old.log.gz"),
        ("v4", "/srv/look/socket"),
        ("v4", "/run/look/hex"),
        ("v6", "/srv/look/across"),
    }


def test_what_mailboxes_keep_tells_nothing_of_where_from(relay: Relay, minute: BusyMinute) -> None:
    """Mail is compressed on the disk, so it is asked for and read."""
    for person in (minute.alice, minute.bob):
        fetched = relay.machine.run(["doveadm", "fetch", "-u", person.address, "text", "all"]).out

        assert "Subject: [...]" in fetched
        kept = [trace for trace in TRACES if trace in fetched]
        # The subject of cleartext from outside is part of a letter that is kept as it came.
        assert set(kept) <= {"Doctor's appointment"}
