"""Tests of relays in the lab: reuse, change, several at once, forwards, evidence."""

from __future__ import annotations

import os
import smtplib
import sys
from pathlib import Path

import pytest

from harness import evidence, forward, show, sockets
from harness.errors import LabError
from harness.lab import Lab
from harness.places import TESTS
from harness.process import HOST_PID_VARIABLE, host
from harness.relay import Relay
from people import terminal
from people.website import codes

DOMAIN = "_harness.test"


@pytest.fixture
def own(lab: Lab) -> Relay:
    """A relay for this module."""
    return lab.relay(DOMAIN)


def announced_size(relay: Relay) -> int:
    """Return the relay's message size limit in bytes (RFC 1870)."""
    with smtplib.SMTP(relay.address, 25, timeout=10) as smtp:
        smtp.ehlo("client.test")
        return int(smtp.esmtp_features["size"])


def test_an_unchanged_relay_is_reused(lab: Lab, own: Relay) -> None:
    """So a hundred tests boot it once."""
    assert lab.relay(DOMAIN).machine.leader == own.machine.leader


def test_other_settings_make_another_relay(lab: Lab, own: Relay) -> None:
    """With other settings it is booted again, empty."""
    other = lab.relay(DOMAIN, {"message": {"maxSize": 1_000_000}})

    assert other.machine.leader != own.machine.leader
    assert announced_size(other) == 1_000_000


def test_a_reconfigured_relay_keeps_its_key_and_accounts(own: Relay) -> None:
    """Changed files are written and read; the machine stays the same."""
    before = own.chatmail("dns").out

    own.reconfigure({"message": {"maxSize": 2_000_000}})

    assert announced_size(own) == 2_000_000
    assert own.chatmail("dns").out == before


def test_invalid_settings_are_refused_with_the_values_message(lab: Lab) -> None:
    """No machine is left behind."""
    with pytest.raises(LabError, match="typo"):
        lab.relay("_wrong.test", {"typo": 1})

    assert "_wrong.test" not in {relay.domain for relay in lab.relays()}
    assert "_wrong.test" not in lab.dns.zones()


def test_a_relay_without_a_domain_has_its_ip_address(lab: Lab) -> None:
    """It has no zone; an address that may belong to another machine is refused."""
    relay = lab.relay("192.0.2.70")

    assert relay.address == relay.domain
    assert relay.credentials()[0].endswith("@[192.0.2.70]")
    assert relay.domain not in lab.dns.zones()
    lab.stop(relay)
    for elsewhere in ("192.0.2.10", "10.0.0.1"):
        with pytest.raises(LabError, match=r"use 192\.0\.2\.60 to 192\.0\.2\.79"):
            lab.relay(elsewhere)


def test_two_relays_find_each_other_by_name(lab: Lab, own: Relay) -> None:
    """Each finds the other's zone with its own resolver, from the root down."""
    other = lab.relay("_other.test")

    for here, there in ((own, other), (other, own)):
        found = here.machine.run(["getent", "ahosts", there.domain]).out
        assert there.address in found
        assert there.address6 in found
    lab.stop(other)


def test_a_relay_with_an_ordinary_name_has_a_certificate_of_the_labs_ca(lab: Lab) -> None:
    """Its clients verify it, as on the Internet."""
    relay = lab.relay("verified.test")

    said = relay.machine.run(
        f"openssl s_client -connect {relay.address}:443 -servername verified.test"
        " -verify_hostname verified.test -verify_return_error </dev/null"
    )

    assert "Verification: OK" in said.out
    lab.stop(relay)


def test_a_forwarded_port_of_the_host_leads_to_the_relay(own: Relay) -> None:
    """The forwarder connects from among the clients, so it looks like one."""
    ports = forward.start(own.machine, [25], None)
    try:
        host_network = Path(f"/proc/{os.environ[HOST_PID_VARIABLE]}/ns/net")
        with sockets.connect(host_network, "127.0.0.1", ports[25]) as connection:
            assert connection.recv(200).startswith(b"220 _harness.test")
    finally:
        forward.stop(own.machine.name)
    assert own.machine.name not in forward.running()


LOGIN = """
import sys, tempfile
from pathlib import Path
from harness import deltachat
with tempfile.TemporaryDirectory() as place, deltachat.core(Path(place)) as core:
    account = core.deltachat.add_account()
    account.add_transport_from_qr(sys.argv[1])
    account.bring_online()
    print(deltachat.address_of(account))
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_up_shows_a_link_that_works_on_this_host(own: Relay, theme: str) -> None:
    """The invite that it showed before named a host that only the lab can resolve."""
    ports = forward.start(own.machine, list(own.value.ports.values()), None)
    try:
        lines = show.usage(own, ports).splitlines()
        [link] = [line for line in lines if line.startswith("dclogin:")]
        code = "\n".join(line for line in lines if line.startswith("\x1b["))
        scanned = codes(terminal.picture(code, theme))
        command = ["env", f"PYTHONPATH={TESTS}", sys.executable, "-c", LOGIN, link]
        address = host(command).out.strip()
    finally:
        forward.stop(own.machine.name)

    assert scanned == [link]
    assert address.endswith(f"@{own.domain}")
    assert own.chatmail("accounts", "show", address).status == 0


def test_evidence_has_the_journal_the_queue_and_the_transcripts(
    own: Relay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`last` links to the newest."""
    monkeypatch.setattr(evidence, "EVIDENCE", tmp_path)
    evidence.attach("dialogue.txt", lambda: "< 220\n")

    place = evidence.collect("tests/x.py::test_claim[a/b]", "it was not so")

    assert (place / "failure.txt").read_text() == "it was not so"
    assert (place / "dialogue.txt").read_text() == "< 220\n"
    machine = place / own.machine.name
    assert "postfix" in (machine / "journal.txt").read_text()
    assert "Mail queue is empty" in (machine / "queue.txt").read_text()
    assert (tmp_path / "last").resolve() == place
    evidence.forget()
