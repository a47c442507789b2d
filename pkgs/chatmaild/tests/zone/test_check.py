"""Collecting the records of name servers, and reporting on them."""

import json

import pytest

from chatmaild.config import DnsRecord
from chatmaild.zone import check
from chatmaild.zone.check import collect, report
from chatmaild.zone.meaning import Ask, Own, Values
from chatmaild.zone.records import ZoneError
from chatmaild.zone.servers import NoAnswerError

MX = DnsRecord("a.test.", "MX", "10 a.test.", "required")
SPF = DnsRecord("a.test.", "TXT", "v=spf1 a ~all", "recommended")
OWN = Own("a.test.", frozenset({"192.0.2.1"}), (), acme=False)

Servers = dict[str, dict[str, Values] | None]
RIGHT: dict[str, Values] = {
    "MX": frozenset({"10 a.test."}),
    "TXT": frozenset({"v=spf1 a ~all", "x=1"}),
    "A": frozenset({"192.0.2.1"}),
}


def findings(monkeypatch: pytest.MonkeyPatch, servers: Servers) -> check.Findings:
    """Check two records against servers; a server that is None does not answer."""
    monkeypatch.setattr(check, "authoritative", lambda _: [(name, name) for name in servers])

    def asking(address: str) -> Ask:
        def ask(_: str, kind: str) -> Values:
            zone = servers[address]
            if zone is None:
                raise NoAnswerError("Timeout")
            return zone.get(kind, frozenset())

        return ask

    monkeypatch.setattr(check, "asking", asking)
    a = DnsRecord("a.test.", "A", "192.0.2.1", "required")
    return collect("a.test", [a, MX, SPF], OWN)


def test_a_zone_that_works_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is 0."""
    found = findings(monkeypatch, {"ns1.test": RIGHT, "ns2.test": RIGHT})
    assert found.works
    assert list(report(found)) == ["a.test: all records are correct at 2 name servers"]


def test_a_secondary_that_lags_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of all clients see the old record, which explains some failures."""
    old = {**RIGHT, "MX": frozenset({"10 old.test."})}
    found = findings(monkeypatch, {"ns1.test": RIGHT, "ns2.test": old})
    assert not found.works
    assert list(report(found)) == [
        "required (without these the relay does not work):",
        "  wrong at ns2.test: a.test. MX is 10 old.test.",
        "    mail goes to old.test and not to this relay",
        "    should be 10 a.test.",
    ]


def test_what_is_only_recommended_is_reported_and_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scripts use the exit code."""
    found = findings(monkeypatch, {"ns1.test": {**RIGHT, "TXT": frozenset()}, "ns2.test": None})
    assert found.works
    assert list(report(found)) == [
        "no answer: ns2.test (ns2.test): Timeout",
        "recommended (with these it works better with others):",
        "  missing: a.test. TXT v=spf1 a ~all",
        "    other servers cannot check by SPF that mail comes from this relay",
    ]


def test_an_address_that_the_relay_does_not_have_is_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Most clients try IPv6 first, so a stale record delays each of them."""
    found = findings(monkeypatch, {"ns1.test": {**RIGHT, "AAAA": frozenset({"2001:db8::9"})}})
    assert not found.works
    assert list(report(found))[1:] == [
        "  wrong: a.test. AAAA is 2001:db8::9",
        "    this relay has no IPv6 address: connections to 2001:db8::9 do not reach it",
        "    remove it",
    ]


def test_programs_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault is listed with its consequences."""
    found = findings(monkeypatch, {"ns1.test": {**RIGHT, "TXT": frozenset()}})
    assert json.loads(json.dumps(check.described(found))) == {
        "domain": "a.test",
        "servers": 1,
        "silent": [],
        "faults": [
            {
                "name": "a.test.",
                "type": "TXT",
                "need": "recommended",
                "found": [],
                "wanted": ["v=spf1 a ~all"],
                "consequences": [
                    "other servers cannot check by SPF that mail comes from this relay"
                ],
                "servers": [],
            }
        ],
    }


def test_no_answer_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """It means neither right nor wrong: the command failed."""
    with pytest.raises(ZoneError, match=r"no name server of a\.test answers"):
        findings(monkeypatch, {"ns1.test": None})
