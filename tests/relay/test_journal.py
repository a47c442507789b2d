"""`journalctl -p warning` shows all warnings and errors of our daemons, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.process import wait_until
from harness.push_proxy import push_proxy
from people import https, messages
from people.accounts import delete
from people.broken import CONFIG, TALK, talk
from people.imap import logged_in
from people.messages import id_of
from people.people import Person

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay
    from harness.stranger import MailServer
    from people.strangers import Stranger

pytestmark = pytest.mark.timeout(180)

ERROR, WARNING = 3, 4
"""Priorities of syslog(3)."""
SETTINGS = {
    "metrics": {"enable": True},
    "echo": {"enable": True},
    "push": {"proxy": "https://push.test/notify"},
}
DAEMONS = ("accounts", "echo", "filter", "tls", "web")
JOBS = ("certificate", "expire", "website")
TRIM = "/run/chatmail-trim/trim.sock"
SCRAPE = "curl --silent --max-time 5 http://127.0.0.1:3903/metrics"


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Relay:
    """A relay with every daemon, which the tests may break."""
    return lab.relay("_journal.test", SETTINGS)


def test_everyday_use_leaves_no_warning(
    lab: Lab, relay: Relay, stranger: Stranger, classic: MailServer
) -> None:
    """Warnings in everyday use, from the boot on, would hide the important one."""
    alice, bob = Person.on(relay), Person.on(relay)
    here = messages.encrypted(alice.address, bob.address)
    away = messages.encrypted(alice.address, f"somebody@{classic.domain}")
    letter = messages.encrypted(stranger.address(), bob.address)
    absent, _ = relay.credentials()
    with push_proxy(lab) as proxy:
        with logged_in(bob) as imap:
            imap.say('s SETMETADATA INBOX (/private/devicetoken "openpgp:phone==")').until("s")
        alice.send(here, bob.address)
        bob.wait_for(here)
        stranger.deliver(relay, letter, bob.address)
        bob.wait_for(letter)
        proxy.wait_for("openpgp:phone==", 2)
    alice.send(away, f"somebody@{classic.domain}")
    classic.wait_for(id_of(away))
    alice.send(messages.encrypted(alice.address, absent), absent)
    alice.wait_for_any()
    response, _ = https.ask(relay, "POST", "/new")
    assert response.status == 200
    assert delete(relay, alice.address, alice.password)[0] == 200
    relay.machine.run(SCRAPE)
    for name in (*JOBS, *DAEMONS):
        relay.machine.run(["systemctl", "restart", f"chatmail-{name}.service"])

    relay.machine.run(["journalctl", "--sync"])
    command = ["journalctl", "--output=json", f"--priority={WARNING}"]
    entries = [json.loads(line) for line in relay.machine.run(command).out.splitlines()]
    found = [(entry.get("SYSLOG_IDENTIFIER"), str(entry.get("MESSAGE"))) for entry in entries]

    # Postfix checks whether the root zone is signed; the lab's is not.
    assert [(who, text) for who, text in found if "DNSSEC" not in text] == []


def told(relay: Relay, program: str, cursor: str) -> list[tuple[int, str]]:
    """Return priority and text of each line that a program has logged since `cursor`."""
    relay.machine.run(["journalctl", "--sync"])
    command = ["journalctl", "--output=json", f"--after-cursor={cursor}", f"--identifier={program}"]
    entries = [json.loads(line) for line in relay.machine.run(command).out.splitlines()]
    return [(int(entry["PRIORITY"]), str(entry["MESSAGE"])) for entry in entries]


def awaits(relay: Relay, program: str, cursor: str, priority: int, words: str) -> None:
    """Wait until a program has logged these words, and check the priority."""

    def found() -> list[int]:
        return [number for number, text in told(relay, program, cursor) if words in text]

    assert wait_until(found, f"{program} writes {words!r}", timeout=30)[0] == priority


def test_the_last_message_of_a_failed_program_is_an_error(relay: Relay) -> None:
    """Every daemon and job runs in the sandbox and with the log settings of its unit."""
    cursor = relay.machine.cursor()
    relay.machine.run(["mv", CONFIG, f"{CONFIG}.away"])
    try:
        for name in (*DAEMONS, *JOBS):
            relay.machine.run(["systemctl", "restart", f"chatmail-{name}.service"], check=False)
        relay.machine.run(["systemctl", "start", "chatmail-trim.service"], check=False)
        relay.machine.run(SCRAPE, check=False)
        for name in (*DAEMONS, "expire", "website", "trim", "metrics"):
            awaits(relay, f"chatmail-{name}", cursor, ERROR, f"{CONFIG}: cannot be read")
        awaits(relay, "chatmail", cursor, ERROR, f"{CONFIG}: cannot be read")
    finally:
        relay.machine.run(["mv", f"{CONFIG}.away", CONFIG])
        relay.machine.run(["systemctl", "reset-failed"])
        for name in (*DAEMONS, *JOBS):
            relay.machine.run(["systemctl", "restart", f"chatmail-{name}.service"])


def test_a_fault_that_does_not_end_a_daemon_is_a_warning(relay: Relay) -> None:
    """Each daemon that has warnings is covered."""
    person = Person.on(relay)
    paths = relay.value.daemons["paths"]
    folder = f"{paths['mailboxes']}/{person.address}/Maildir/cur"
    relay.machine.run(["systemctl", "start", "chatmail-echo.service"])
    cursor = relay.machine.cursor()

    talk(relay, "dictSocket", b"nonsense\n")
    relay.machine.run(["systemctl", "stop", "chatmail-tls.service"])
    relay.machine.run(f"echo nonsense > {paths['stsPolicies']}")
    relay.machine.run(["systemctl", "start", "chatmail-tls.service"])
    relay.machine.run(["python3", "-c", TALK, TRIM], input="nonsense\n")
    relay.machine.run(["chmod", "0", folder])
    relay.machine.run(["systemctl", "start", "chatmail-expire.service"], check=False)
    relay.machine.run(["chmod", "0700", folder])
    relay.chatmail("accounts", "block", f"echo@{relay.domain}")

    awaits(relay, "chatmail-accounts", cursor, WARNING, "connection closed")
    awaits(relay, "chatmail-tls", cursor, WARNING, "policies cannot be read")
    awaits(relay, "chatmail-trim", cursor, WARNING, "ignored an invalid request")
    awaits(relay, "chatmail-expire", cursor, WARNING, "a mailbox cannot be read")
    awaits(relay, "chatmail-echo", cursor, WARNING, "refuses the bot")


def test_a_protocol_violation_is_an_error_of_the_filter(relay: Relay) -> None:
    """Only Postfix connects to it, so the configuration must be wrong."""
    cursor = relay.machine.cursor()

    talk(relay, "filterSocket", b"GET / HTTP/1.0\r\n\r\n")

    awaits(relay, "chatmail-filter", cursor, ERROR, "not the milter protocol")
