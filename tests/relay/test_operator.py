"""The operator's view: the command `chatmail`, and a journal without errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dns.resolver
import pytest

from people import terminal
from people.website import codes

if TYPE_CHECKING:
    from harness.relay import Relay
    from people.people import Person


def test_dns_prints_the_zone_that_the_relay_needs(public_relay: Relay) -> None:
    """With these records, including this host's key, the relay works."""
    text = public_relay.chatmail("dns").out
    lines = [line.split(" ", 4) for line in text.splitlines() if line and not line.startswith(";")]
    found = {(name, kind): data for name, _, _, kind, data in lines}

    assert found["two.test.", "A"] == public_relay.address
    assert found["two.test.", "AAAA"] == public_relay.address6
    assert found["two.test.", "MX"] == "10 two.test."
    assert found["www.two.test.", "CNAME"] == "two.test."
    assert found["mta-sts.two.test.", "CNAME"] == "two.test."
    assert found["_mta-sts.two.test.", "TXT"].startswith('"v=STSv1; id=')
    assert found["opendkim._domainkey.two.test.", "TXT"].startswith('"v=DKIM1;k=rsa;p=')
    assert found["two.test.", "TXT"] == '"v=spf1 a ~all"'
    assert found["_dmarc.two.test.", "TXT"] == '"v=DMARC1;p=reject;adkim=s;aspf=s"'
    assert found["_adsp._domainkey.two.test.", "TXT"] == '"dkim=discardable"'
    for service, port in (("submission", 587), ("submissions", 465), ("imap", 143), ("imaps", 993)):
        assert found[f"_{service}._tcp.two.test.", "SRV"] == f"0 1 {port} two.test."


def test_a_name_server_accepts_the_printed_zone(public_relay: Relay) -> None:
    """The lab publishes exactly the printed zone; its answers are complete, even the long key."""

    def texts(name: str) -> str:
        answer = dns.resolver.resolve(name, "TXT", lifetime=10)
        return b"".join(answer[0].strings).decode()

    key = texts("opendkim._domainkey.two.test")

    assert key.startswith("v=DKIM1;k=rsa;p=MII")
    assert key.endswith(";s=email;t=s")
    unsplit = public_relay.chatmail("dns", "--unsplit").out
    assert f'"{key}"' in unsplit
    assert texts("_dmarc.two.test") == "v=DMARC1;p=reject;adkim=s;aspf=s"


@pytest.mark.parametrize("theme", sorted(terminal.THEMES))
def test_a_camera_reads_the_invite_off_a_terminal(public_relay: Relay, theme: str) -> None:
    """Scanners want dark on light, and many terminals are light on dark."""
    link, *drawn = public_relay.chatmail("invite").out.splitlines()

    assert codes(terminal.picture("\n".join(drawn), theme)) == [link]


def test_a_self_signed_relay_has_no_mta_sts_policy(relay: Relay) -> None:
    """A policy that cannot be verified would only keep mail away."""
    assert "mta-sts" not in relay.chatmail("dns").out


def test_accounts_lists_all_accounts(relay: Relay, alice: Person) -> None:
    """The list has creation days and sizes, for people and for programs."""
    today = relay.machine.run(["date", "-u", "+%F"]).out.strip()
    # A login is answered first and stored afterwards.
    relay.machine.wait_until(
        f"chatmail accounts show {alice.address} | grep -x 'last login  {today}'"
    )
    listed = json.loads(relay.chatmail("accounts", "list", "--json").out)
    shown = relay.chatmail("accounts", "show", alice.address).out

    mine = next(entry for entry in listed if entry["address"] == alice.address)
    assert mine["created"] == mine["last_login"] == today
    assert mine["blocked"] is False
    assert alice.address in relay.chatmail("accounts", "list").out
    assert alice.address in shown
    assert alice.password not in shown


def test_accounts_reports_a_missing_account(relay: Relay) -> None:
    """It prints one sentence on standard error and exits with 1."""
    said = relay.chatmail("accounts", "show", f"nobodyhere@{relay.domain}", check=False)

    assert said.status == 1
    assert said.out == ""
    assert said.err == f"chatmail accounts: there is no account nobodyhere@{relay.domain}\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], "required"),
        (["stauts"], "did you mean `status`?"),
        (["acounts"], "did you mean `accounts`?"),
        (["accounts"], "required"),
        (["accounts", "delete-everything"], "invalid choice"),
        (["status", "--jsn"], "did you mean `--json`?"),
        (["dns", "now"], "unexpected argument `now`"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(relay: Relay, words: list[str], hint: str) -> None:
    """Exit status 2 means that nothing was done."""
    said = relay.chatmail(*words, check=False)

    assert said.status == 2
    assert hint in said.err
    assert "Traceback" not in said.err


def test_daemons_name_a_wrong_key_in_their_configuration(relay: Relay) -> None:
    """A mistyped setting stops the start with a sentence that names it."""
    path = "/tmp/wrong.json"
    config = dict(relay.value.daemons)
    sending = dict(config["sending"])
    sending["perMinut"] = sending.pop("perMinute")
    config["sending"] = sending
    relay.machine.write(path, json.dumps(config))

    for daemon in ("chatmail-accounts", "chatmail-filter", "chatmail-web"):
        said = relay.machine.run([daemon, "--config", path, "--check-config"], check=False)

        assert said.status == 1
        assert "`sending.perMinut`" in said.err
        assert "did you mean `sending.perMinute`?" in said.err
        assert len(said.err.strip().splitlines()) == 1


def test_no_unit_has_failed(relay: Relay) -> None:
    """All units of the machine are checked, those of the relay and the system."""
    assert relay.machine.failed_units() == []
