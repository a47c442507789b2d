"""`chatmail status` reports every fault of a broken relay, each with a remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from harness.network import address4
from harness.process import wait_until
from people.outgoing import deferred, empty_queue, send
from people.people import Person

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay

DOMAIN = "status.test"
CHAIN, KEY = "/etc/ssl/chatmail/fullchain.pem", "/etc/ssl/chatmail/key.pem"
DKIM = "/var/lib/chatmail-filter/dkim.pem"
MAIL = "/var/lib/chatmail/mail"
SPOOL = "/var/spool/postfix"
NEW_CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN={name}"
    f" -addext subjectAltName=DNS:{{name}} -keyout {KEY} -out {CHAIN} 2>/dev/null"
)


@pytest.fixture(scope="module")
def broken(lab: Lab) -> Relay:
    """A relay that is broken and repaired repeatedly."""
    return lab.relay(DOMAIN)


def status(relay: Relay, *, config: str = "/etc/chatmail/chatmaild.json") -> dict[str, Any]:
    """Run the command with JSON output; return it with the exit code."""
    said = relay.chatmail("--config", config, "status", "--json", check=False)
    answer: dict[str, Any] = json.loads(said.out)
    return answer | {"exit": said.status}


def states(answer: dict[str, Any]) -> dict[str, str]:
    """Return the worst state of each thing that has a fault: name -> state."""
    order = ("ok", "note", "unknown", "wrong")
    found: dict[str, str] = {}
    for check in answer["checks"]:
        one, other = check["state"], found.get(check["name"], "ok")
        found[check["name"]] = max(one, other, key=order.index)
    return {name: state for name, state in found.items() if state != "ok"}


@dataclass(frozen=True)
class Fault:
    """A way to break a relay, and the expected report: the thing, words of text and remedy."""

    name: str
    harm: str
    mend: str
    thing: str
    text: str
    remedy: str
    state: str = "wrong"


def frozen(unit: str, thing: str, text: str) -> Fault:
    """Stop all processes of a unit with a signal; for systemd the unit stays active."""
    kill = f"systemctl kill --kill-whom=all --signal={{signal}} {unit}"
    return Fault(
        f"{unit} frozen",
        kill.format(signal="STOP"),
        kill.format(signal="CONT"),
        thing,
        text,
        "systemctl restart",
    )


def kept(file: str, harm: str) -> dict[str, str]:
    """Change a file, and restore it afterwards with its owner and mode."""
    return {
        "harm": f"rm -rf /root/kept; cp -a {file} /root/kept && {harm}",
        "mend": f"rm -rf {file}; cp -a /root/kept {file}",
    }


FAULTS = [
    frozen("chatmail-filter", "chatmail-filter", "nothing within"),
    frozen("chatmail-accounts", "chatmail-accounts", "timed out"),
    frozen("chatmail-tls", "chatmail-tls", "nothing within"),
    frozen("chatmail-web", "chatmail-web", "nothing within"),
    frozen("dovecot", "dovecot", "nothing within"),
    frozen("dovecot", "port 993", "within"),
    frozen("postfix", "port 25", "no greeting within"),
    frozen("postfix", "mail queue", "does not list its queue"),
    frozen("nginx", "port 443", "within"),
    frozen("unbound", "resolver", "does not answer"),
    Fault(
        "resolver stopped",
        "systemctl stop unbound",
        "systemctl start unbound",
        "resolver",
        "does not answer",
        "systemctl restart unbound",
    ),
    Fault(
        "timer stopped",
        "systemctl stop chatmail-expire.timer",
        "systemctl start chatmail-expire.timer",
        "chatmail-expire.timer",
        "does not run",
        "systemctl start chatmail-expire.timer",
    ),
    Fault(
        "certificate of another name",
        **kept("/etc/ssl/chatmail", NEW_CERTIFICATE.format(name="other.test")),
        thing="certificate",
        text="is for other.test, not for status.test",
        remedy="systemctl reload nginx postfix dovecot",
    ),
    Fault(
        "certificate that is not loaded",
        **kept("/etc/ssl/chatmail", NEW_CERTIFICATE.format(name=DOMAIN)),
        thing="port 993",
        text="uses another certificate",
        remedy="systemctl reload dovecot",
    ),
    Fault(
        "key of another certificate",
        **kept(KEY, f"openssl ecparam -genkey -name prime256v1 -noout -out {KEY}"),
        thing="certificate key",
        text="does not belong to the certificate",
        remedy="restore",
    ),
    Fault(
        "certificate gone",
        **kept(CHAIN, f"rm {CHAIN}"),
        thing="certificate",
        text="No such file",
        remedy="put a new one there",
    ),
    Fault(
        "DKIM key damaged",
        **kept(DKIM, f"echo garbage > {DKIM}"),
        thing="DKIM key",
        text="is not an unencrypted private key in PEM",
        remedy="restore it from a backup",
    ),
    Fault(
        "DKIM key that the DNS does not have",
        **kept(DKIM, f"openssl genrsa -out {DKIM} 2048 2>/dev/null"),
        thing="DKIM key",
        text="its signatures are by another key",
        remedy="chatmail dns",
    ),
    Fault(
        "mail directory of root",
        f"chown root: {MAIL}",
        f"chown vmail: {MAIL}",
        "mailboxes",
        "belongs to root, not to vmail",
        "chown -R vmail:",
    ),
    Fault(
        "mail directory not writable",
        f"chmod 0500 {MAIL}",
        f"chmod 0700 {MAIL}",
        "mailboxes",
        "may not write",
        "chmod 0700",
    ),
    Fault(
        "spool full",
        f"mount -t tmpfs -o size=1m none {SPOOL}",
        f"umount {SPOOL}",
        "disk of mail queue",
        "mail is refused",
        "du -xh",
    ),
    Fault(
        "spool without inodes",
        f"mount -t tmpfs -o size=1g,nr_inodes=20 none {SPOOL} && cd {SPOOL} && touch $(seq 19)",
        f"umount {SPOOL}",
        "disk of mail queue",
        "inodes free",
        "--inodes",
    ),
    Fault(
        "registration stopped",
        "chatmail registration stop",
        "chatmail registration start",
        "registration",
        "stopped",
        "chatmail registration start",
        state="note",
    ),
]


@contextmanager
def broken_by(relay: Relay, fault: Fault) -> Iterator[None]:
    """Break the relay, and repair it in any case."""
    relay.machine.run(fault.harm)
    try:
        yield
    finally:
        relay.machine.run(fault.mend, check=False)


def matches(answer: dict[str, Any], fault: Fault) -> bool:
    """Whether the report contains the fault with the expected words."""
    return any(
        check["name"] == fault.thing
        and check["state"] == fault.state
        and fault.text in check["text"]
        and fault.remedy in check["remedy"]
        for check in answer["checks"]
    )


def assert_well(relay: Relay) -> None:
    """Wait until nothing is wrong, as after a repair."""
    wait_until(lambda: states(status(relay)) == {}, f"{relay.domain} is well", timeout=30)


def test_a_working_relay_is_reported_as_such(broken: Relay) -> None:
    """Each part is named, the exit code is 0, and the verdict is last."""
    assert_well(broken)
    answer = status(broken)
    names = {check["name"] for check in answer["checks"]}

    assert answer["exit"] == 0
    assert {"units", "ports", "certificate", "DKIM key", "mail queue", "mailboxes"} <= names
    assert broken.chatmail("status").out.splitlines()[-1] == "The relay works."


def test_the_check_causes_no_warnings(broken: Relay) -> None:
    """A monitor that checks every minute must not fill the journal with warnings."""
    cursor = broken.machine.cursor()
    for _ in range(3):
        broken.chatmail("status")
    broken.machine.run(["journalctl", "--sync"])
    command = ["journalctl", "--output=cat", f"--after-cursor={cursor}", "--priority=warning"]

    assert broken.machine.run(command).out == ""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.name}: {fault.thing}")
def test_a_broken_relay_is_reported(broken: Relay, fault: Fault) -> None:
    """In each of these states, status once found no fault, or only an inactive unit."""
    with broken_by(broken, fault):
        answer = status(broken)
    assert_well(broken)

    assert matches(answer, fault), answer
    assert answer["exit"] == (1 if fault.state == "wrong" else 0)
    assert all(check["remedy"] for check in answer["checks"] if check["state"] == "wrong")


def test_a_self_signed_certificate_is_wrong_where_an_authority_should_issue_it(
    broken: Relay,
) -> None:
    """NixOS starts with one, and keeps it as long as ACME fails."""
    config = "/root/acme.json"
    broken.machine.run(
        f'sed \'s/"source":"files"/"source":"acme"/\' /etc/chatmail/chatmaild.json > {config}'
    )
    # These machines trust the lab's own authority.
    assert "certificate" not in states(status(broken, config=config))
    with broken_by(
        broken,
        Fault(
            "",
            **kept("/etc/ssl/chatmail", NEW_CERTIFICATE.format(name=DOMAIN)),
            thing="",
            text="",
            remedy="",
        ),
    ):
        answer = status(broken, config=config)

    [check] = [one for one in answer["checks"] if one["name"] == "certificate"]
    assert check["state"] == "wrong"
    assert "is not from an authority that clients trust (status.test)" in check["text"]
    assert f"acme-order-renew-{DOMAIN}" in check["remedy"]


def test_an_address_that_is_gone_is_wrong_while_it_is_published(broken: Relay) -> None:
    """Most clients try IPv6 first."""
    where = f"{broken.address6}/64 dev eth0"
    broken.machine.run(f"ip -6 address del {where}")
    try:
        answer = status(broken)
    finally:
        broken.machine.run(f"ip -6 address add {where} nodad")
    assert_well(broken)

    [check] = [one for one in answer["checks"] if one["name"] == "addresses"]
    assert check["state"] == "wrong"
    assert f"the DNS publishes {broken.address6}, which this host does not have" in check["text"]


def test_a_key_without_a_record_is_wrong(broken: Relay) -> None:
    """Other relays refuse all mail."""
    zone = broken.chatmail("dns").out
    lines = [line for line in zone.splitlines() if "opendkim._domainkey" not in line]
    broken.dns.publish_zone_text(DOMAIN, "\n".join(lines))
    broken.machine.run(["systemctl", "restart", "unbound"])
    answer = status(broken)
    broken.dns.publish_zone_text(DOMAIN, zone)
    broken.machine.run(["systemctl", "restart", "unbound"])
    assert_well(broken)

    assert states(answer) == {"DKIM key": "wrong"}


def test_waiting_mail_is_reported_with_age_and_reason(lab: Lab, broken: Relay) -> None:
    """Nine messages to a dead peer were not reported, because the limit was a thousand."""
    recipient = "someone@dead.test"
    lab.dns.publish("dead.test", [("@", "MX", "10 mx.dead.test."), ("mx", "A", address4(115))])
    send(Person.on(broken), recipient)
    deferred(broken, recipient)
    answer = status(broken)
    empty_queue(broken)

    [check] = [one for one in answer["checks"] if one["name"] == "mail queue"]
    assert check["state"] == "note"
    assert check["text"].startswith("1 messages wait, the oldest for ")
    assert "connect to mx.dead.test" in check["text"]
    assert "chatmail queue" in check["remedy"]
    assert answer["exit"] == 0


def test_an_ordinary_user_learns_what_could_not_be_checked(broken: Relay) -> None:
    """Without `sudo` the command once reported four false faults."""
    said = broken.machine.run(["runuser", "-u", "nobody", "--", "chatmail", "status"], check=False)

    assert said.status == 3
    assert "WRONG" not in said.out
    assert "only root can see" in said.out
    assert said.out.splitlines()[-1].startswith("No faults found, but")
