"""After a busy minute, the machine does not reveal who used it and from where."""

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

# Limits low enough to be exceeded, because the log lines about that are checked too.
SETTINGS = {
    "accounts": {"perNetworkPerMinute": 6},
    "connections": {"perAddress": 10},
    "sending": {"perMinute": 12, "burst": 12},
    "echo": {"enable": True},
    "metrics": {"enable": True},
    "push": {"proxy": "https://push.test/notify"},
}
DAEMONS = "dovecot postfix nginx unbound"
# Strings that no file may contain. A mailbox is named by its address, and unencrypted mail from
# outside stays in it.
NOWHERE = ("client address", "client address (IPv6)", "client name", "password", "wrong password")
# Header text that the client itself wrote. Postfix marks a removed field in the queue file, and its
# octets are deleted with the message.
WRITTEN = ("address in a header", "name in a header")
QUEUE = "/var/spool/postfix/"


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Relay:
    """A relay with everything enabled except iroh-relay, which logs nothing, and no other users."""
    return lab.relay("_traces.test", SETTINGS)


@pytest.fixture(scope="module")
def minute(
    lab: Lab, relay: Relay, stranger: Stranger, tmp_path_factory: pytest.TempPathFactory
) -> BusyMinute:
    """Return what was done."""
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
    """Data that was never on disk needs no promise of deletion."""
    said = relay.machine.run(["systemd-analyze", "cat-config", "systemd/journald.conf"]).out
    told = dict(re.findall(r"^(\w+)=(.*)$", said, re.MULTILINE))

    assert (told["Storage"], told["MaxRetentionSec"]) == ("volatile", "3day")
    assert relay.machine.run("ls /run/log/journal/*/system.journal").status == 0
    assert relay.machine.run("find /var/log/journal -type f", check=False).out == ""


def test_the_relay_resolves_names_itself(relay: Relay) -> None:
    """No third party sees to which domains users write."""
    assert relay.machine.read("/etc/resolv.conf") == "nameserver 127.0.0.1\n"


def test_the_journal_contains_no_personal_data(relay: Relay, minute: BusyMinute) -> None:
    """It is in neither the text nor any other field."""
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


def test_the_metrics_contain_no_personal_data(minute: BusyMinute) -> None:
    """Prometheus stores them for months."""
    assert "chatmail_" in minute.scraped
    assert [what for what, word in minute.words.items() if word in minute.scraped] == []


def test_the_queue_has_only_waiting_mail(relay: Relay, minute: BusyMinute) -> None:
    """Refused and delivered messages are gone."""
    queue = [json.loads(line) for line in relay.machine.run(["postqueue", "-j"]).out.splitlines()]

    waiting = {one["address"] for message in queue for one in message["recipients"]}
    assert waiting == {f"someone@{ASLEEP}"}


def test_no_file_reveals_users_and_their_addresses(relay: Relay, minute: BusyMinute) -> None:
    """
    All file systems are searched while a message waits for another server.

    They are searched again after every daemon has exited, and after no mail waits any more.
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
    """The relay does not need the exact time of a login."""
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


def test_the_search_finds_strings_everywhere(relay: Relay) -> None:
    """It finds them in names, text, archives and kernel structures, and across two reads."""
    machine = relay.machine
    machine.run(
        "mkdir -p /run/look /srv/look; cd /srv/look; touch from-192.0.2.99;"
        " printf 'a 192.0.2.99 b' | gzip >old.log.gz; printf '\\002\\000\\023\\211\\300\\000\\002c'"
        " >socket; (head -c 4194300 /dev/zero; printf '2001:db8::99') >across;"
        " printf ' 192.0.2.991 ' >another; printf 'C0000263' >/run/look/hex"
    )
    found = search(machine, {"v4": "192.0.2.99", "v6": "2001:db8::99"}).found
    machine.run("rm -r /srv/look /run/look")

    # Manuals of other programs contain such addresses as examples.
    laid = {(what, path) for what, path in found if "/look/" in path}
    assert laid == {
        ("v4", "/srv/look/from-192.0.2.99"),
        ("v4", "/srv/look/old.log.gz"),
        ("v4", "/srv/look/socket"),
        ("v4", "/run/look/hex"),
        ("v6", "/srv/look/across"),
    }


def test_stored_mail_does_not_reveal_its_origin(relay: Relay, minute: BusyMinute) -> None:
    """Mail is compressed on disk, so it is read through IMAP."""
    for person in (minute.alice, minute.bob):
        fetched = relay.machine.run(["doveadm", "fetch", "-u", person.address, "text", "all"]).out

        assert "Subject: [...]" in fetched
        kept = [trace for trace in TRACES if trace in fetched]
        # The subject of unencrypted mail from outside is part of the stored message.
        assert set(kept) <= {"Doctor's appointment"}
