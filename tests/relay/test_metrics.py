"""Metrics for Prometheus: correct, without personal data, only local, and not an attack surface."""

from __future__ import annotations

import re
import smtplib
import socket
from typing import TYPE_CHECKING

import pytest
from deltachat_rpc_client import EventType
from prometheus_client.parser import text_string_to_metric_families

from data.relay_value import nix
from harness import deltachat
from harness.deltachat import await_event
from harness.process import wait_until
from people import messages, rebuilt
from people.people import Person, imap_login
from people.strangers import Stranger, deliver

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay

Numbers = dict[tuple[str, ...], float]

PORT = 3903
METRICS = f"http://127.0.0.1:{PORT}/metrics"
SCRAPE = ["curl", "--silent", "--show-error", "--max-time", "20"]
# Eight silent connections, then more, then invalid requests. A scrape in parallel may fail, but a
# scrape afterwards must not.
RUDE = f"""\
import socket
quiet = [socket.create_connection(("127.0.0.1", {PORT})) for _ in range(8)]
for request in (b"GET /" + b"x" * 10_000_000, b"\\0" * 1_000_000, b"A: b\\r\\n" * 100_000):
    for _ in range(10):
        try:
            with socket.create_connection(("127.0.0.1", {PORT}), 5) as one:
                one.sendall(request)
        except OSError:
            pass
"""

RUDE_IN_THE_BACKGROUND = f"python3 -c '{RUDE}' >/dev/null 2>&1 & echo $!"


@pytest.fixture(scope="module")
def measured(lab: Lab) -> Relay:
    """A relay with metrics."""
    return lab.relay("_metrics.test", {"metrics": {"enable": True}})


def scrape(relay: Relay) -> str:
    """Scrape as a Prometheus on the same host does."""
    return relay.machine.run([*SCRAPE, "--fail", METRICS]).out


def numbers(relay: Relay) -> Numbers:
    """Parse a scrape with Prometheus' parser; keys are the name and sorted label values."""
    return {
        (one.name.removeprefix("chatmail_"), *(one.labels[name] for name in sorted(one.labels))): (
            one.value
        )
        for family in text_string_to_metric_families(scrape(relay))
        for one in family.samples
    }


def grown(before: Numbers, after: Numbers) -> Numbers:
    """Return every counter that has increased, and by how much."""
    return {
        key: after[key] - before.get(key, 0)
        for key in after
        if key[0].endswith("_total") and after[key] != before.get(key, 0)
    }


def test_counts_exactly_what_happened(measured: Relay, stranger: Stranger) -> None:
    """Every figure on an operator's dashboard must match what users did."""
    before = numbers(measured)
    alice, bob = Person.on(measured), Person.on(measured)
    message = messages.encrypted(alice.address, bob.address)
    # Only what leaves is signed; there is no such server, and a bounce comes back.
    alice.send(message, bob.address, f"someone@nowhere.{stranger.domain}")
    with pytest.raises(smtplib.SMTPDataError):
        alice.send(messages.cleartext(alice.address, bob.address), bob.address)
    bob.wait_for(message)
    letter = messages.encrypted(stranger.address(), bob.address)
    stranger.deliver(measured, letter, bob.address)
    with pytest.raises(smtplib.SMTPDataError):
        deliver(measured, letter, stranger.address(), bob.address)
    assert imap_login(measured, bob.address, "not the password")
    assert imap_login(measured, f"x@{measured.domain}", bob.password)
    bob.wait_for(letter)

    wanted = {
        ("accounts_created_total",): 2,
        # Each of them at the beginning, and bob whenever he checked for something.
        ("logins_total",): 4,
        ("logins_refused_total", "wrong-password"): 1,
        ("registrations_refused_total", "login", "name-length"): 1,
        ("messages_accepted_total", "encrypted", "submission"): 1,
        ("messages_accepted_total", "encrypted", "incoming"): 1,
        ("messages_accepted_total", "own", "internal"): 1,
        ("messages_refused_total", "unencrypted", "submission"): 1,
        ("messages_refused_total", "dkim-missing", "incoming"): 1,
        ("dkim_signed_total",): 1,
        ("dkim_verified_total",): 1,
    }
    # A login is answered first and counted afterwards.
    wait_until(lambda: grown(before, numbers(measured)) == wanted, "the counters", timeout=10)
    after = numbers(measured)
    assert grown(before, after) == wanted
    assert after["accounts",] == before["accounts",] + 2

    def all_active() -> bool:
        found = numbers(measured)
        return found["accounts_active", "1"] == found["accounts",]

    # Logins are written in batches, every few seconds.
    wait_until(all_active, "the day of the last logins", timeout=20)


def test_messages_of_core_are_not_rebuilt(core: deltachat.Core, measured: Relay) -> None:
    """Core writes the canonical form, so its messages pass unchanged; other forms are counted."""
    before = numbers(measured)
    alice, bob = core.online(measured, 2)
    bob.secure_join(alice.get_qr_code())
    await_event(bob, EventType.SECUREJOIN_JOINER_PROGRESS, lambda event: event.progress == 1000)
    deltachat.exchange(alice, bob)
    sent = grown(before, numbers(measured))
    assert sent["messages_accepted_total", "encrypted", "submission"] >= 4
    assert not [key for key in sent if key[0] == "messages_rebuilt_total"]

    carol, dave = Person.on(measured), Person.on(measured)
    message = rebuilt.preamble(carol.address, dave.address)
    carol.send(message, dave.address)
    dave.wait_for(message)
    assert grown(before, numbers(measured))["messages_rebuilt_total", "submission"] == 1


def test_reports_the_state_of_the_relay(measured: Relay) -> None:
    """The metrics cover daemons, certificates, the queue, the disk and the last expiry."""
    measured.chatmail("expire")
    found = numbers(measured)

    services = ("accounts", "dovecot", "filter", "nginx", "postfix")
    assert [found["service_up", name] for name in services] == [1] * 5
    certificate = measured.value.daemons["paths"]["certificate"]
    end = measured.machine.run(
        f"openssl x509 -noout -enddate -dateopt iso_8601 -in {certificate}"
    ).out
    stamp = measured.machine.run(["date", "+%s", "-d", end.strip().partition("=")[2]]).out
    for name in ("dovecot", "nginx", "postfix"):
        assert found["certificate_expiry_timestamp_seconds", name] == float(stamp)
    assert found["queue_messages", "deferred"] == 0
    assert 0 < found["disk_free_bytes",] < found["disk_size_bytes",]
    now = float(measured.machine.run(["date", "+%s"]).out)
    assert now - 60 < found["expiry_last_run_timestamp_seconds",] <= now
    assert found["storage_messages",] >= 0


def test_counts_queued_mail(measured: Relay, lab: Lab) -> None:
    """Messages are counted by queue, from Postfix' own list."""
    alice = Person.on(measured)
    lab.dns.publish("away.test", [("@", "MX", "10 mx.away.test."), ("mx", "A", "192.0.2.254")])
    message = messages.encrypted(alice.address, "somebody@away.test")
    alice.send(message, "somebody@away.test")

    def waiting() -> float:
        found = numbers(measured)
        return sum(found["queue_messages", name] for name in ("incoming", "active", "deferred"))

    wait_until(lambda: waiting() == 1, "the message in the queue", timeout=10)
    measured.machine.run(["postsuper", "-d", "ALL"])
    wait_until(lambda: waiting() == 0, "an empty queue", timeout=10)


def test_contains_no_personal_data(measured: Relay) -> None:
    """Metrics are stored elsewhere for months: they contain no address, token or domain."""
    person = Person.on(measured)
    assert imap_login(measured, person.address, "wrong wrong wrong")
    text = scrape(measured)

    assert "@" not in text
    assert measured.domain not in text
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f]*:", text)
    labels = set(re.findall(r'="([^"]*)"', text))
    assert all(re.fullmatch(r"[a-z][a-z-]*|\d+|\d+\.\d+\.\d+", label) for label in labels), labels
    assert len(labels) < 100


def test_alerts_use_existing_metrics(measured: Relay) -> None:
    """An alert on a misspelt metric would never fire, unnoticed."""
    alerts = nix('import (relay + "/alerts.nix")')
    text = scrape(measured)

    assert len(alerts) == 8
    for alert in alerts:
        for name in re.findall(r"\bchatmail_\w+", alert["expr"]):
            assert f"# TYPE {name} " in text, alert["alert"]
        for value in re.findall(r'(?:queue|outcome)="([^"]*)"', alert["expr"]):
            assert value in {"deferred", "given-up"}, alert["alert"]


def test_only_this_host_can_scrape(measured: Relay) -> None:
    """Earlier relays had public metrics, which told strangers how much they are used."""
    listening = measured.machine.run(["ss", "-Hltn", f"sport = :{PORT}"]).out.splitlines()

    assert [line.split()[3] for line in listening] == [f"127.0.0.1:{PORT}"]
    for address in (measured.address, measured.address6):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, PORT), 5)
    assert PORT not in measured.value.ports.values()


def test_is_off_by_default(relay: Relay) -> None:
    """There is no listener, no socket and no unit."""
    assert relay.machine.run(["ss", "-Hltn", f"sport = :{PORT}"]).out == ""
    assert "numbers.sock" not in relay.machine.run(["ss", "-Hlx"]).out
    units = relay.machine.run(["systemctl", "list-unit-files", "--no-legend", "chatmail-*"]).out
    assert "metrics" not in units
    assert "numbers" not in units


def test_a_stopped_filter_is_reported_and_stays_down(measured: Relay) -> None:
    """A scrape must not start a daemon that the operator has stopped."""
    health = [*SCRAPE, "--write-out", "%{http_code}", f"http://127.0.0.1:{PORT}/health"]
    assert measured.machine.run(health).out == "well\n200"
    measured.machine.run(["systemctl", "stop", "chatmail-filter"])
    try:
        found = numbers(measured)
        said = measured.machine.run(health).out
        state = measured.machine.run(["systemctl", "is-active", "chatmail-filter"], check=False).out
    finally:
        measured.machine.run(["systemctl", "start", "chatmail-filter"])

    assert found["service_up", "filter"] == 0
    assert found["service_up", "accounts"] == 1
    assert not [key for key in found if key[0].startswith("messages_")]
    assert said == "down: filter\n503"
    assert state.strip() == "inactive"
    assert numbers(measured)["service_up", "filter"] == 1


def test_abusive_clients_do_no_harm(measured: Relay) -> None:
    """A hostile local program gets a few short-lived processes, and the relay keeps working."""
    cursor = measured.machine.cursor()
    alice, bob = Person.on(measured), Person.on(measured)
    started = measured.machine.run(RUDE_IN_THE_BACKGROUND).out
    message = messages.encrypted(alice.address, bob.address)
    alice.send(message, bob.address)
    bob.wait_for(message)
    measured.machine.wait_until(["test", "!", "-e", f"/proc/{started.strip()}"], timeout=60)

    # Requests that were sent but not read yet are refused later.
    measured.machine.wait_until([*SCRAPE, "--fail", METRICS], timeout=60)
    wait_until(lambda: processes(measured) == 0, "no scrape left", timeout=30)
    assert numbers(measured)["service_up", "accounts"] == 1
    assert measured.machine.failed_units() == []
    assert "Traceback" not in measured.machine.journal(after=cursor)


def processes(relay: Relay) -> int:
    """Return the number of processes that answer scrapes."""
    return len(relay.machine.run(["pgrep", "-u", "chatmail-metrics"], check=False).out.split())


def test_costs_nothing_between_scrapes(measured: Relay) -> None:
    """There is no process, and scrapes add no lines to the journal."""
    cursor = measured.machine.cursor()
    scrape(measured)

    wait_until(lambda: processes(measured) == 0, "no scrape left", timeout=10)
    measured.machine.run(["journalctl", "--sync"])
    told = measured.machine.journal(after=cursor).splitlines()
    # Newer systemd complains about control groups that a container lacks.
    about = [line for line in told if "chatmail-metrics" in line and "control group" not in line]
    assert about == []


def test_the_scrape_process_has_no_other_rights(measured: Relay) -> None:
    """It is the only program that every user of the host can reach."""

    def may(*command: str) -> bool:
        user = "chatmail-metrics"
        return measured.machine.run(command, check=False, user=user).status == 0

    control = measured.value.daemons["paths"]["controlSocket"]
    ask = ("curl", "--silent", "--unix-socket", control, "-d", "{}", "http://x/invites/list")
    assert measured.machine.run(ask).status == 0
    assert not may(*ask)
    secrets = [
        *(
            measured.value.daemons["paths"][key]
            for key in ("accountBook", "mailboxes", "certificateKey")
        ),
        *(key["file"] for key in measured.value.daemons["dkim"]),
    ]
    assert len(secrets) == 4
    for path in secrets:
        assert measured.machine.run(["test", "-e", path]).status == 0
        assert not may("test", "-r", path)
