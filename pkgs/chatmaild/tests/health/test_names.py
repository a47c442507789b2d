"""DNS records compared with what this host has."""

import pytest

from chatmaild.health import names
from chatmaild.health.checks import Check, Look
from chatmaild.signatures import keys
from chatmaild.zone import records
from chatmaild.zone.meaning import Values


def answering(monkeypatch: pytest.MonkeyPatch, zone: dict[str, list[str]] | None) -> None:
    """Let the resolver give this answer for each type; None means that it is dead."""

    def look_up(_name: str, kind: str) -> Values:
        if zone is None:
            raise names.SilentResolverError
        return frozenset(zone.get(kind, []))

    monkeypatch.setattr(names, "look_up", look_up)


@pytest.mark.parametrize(
    ("published", "wanted", "here", "wrong"),
    [
        (["192.0.2.1"], ["192.0.2.1"], ["192.0.2.1"], []),
        # Behind a router whose address is configured.
        (["192.0.2.1"], ["192.0.2.1"], ["10.0.0.5"], []),
        (["192.0.2.1"], ["192.0.2.1"], [], ["192.0.2.1"]),
        (["192.0.2.9"], ["192.0.2.1"], ["192.0.2.1"], ["192.0.2.9"]),
        (["2001:db8::1"], ["192.0.2.1", "2001:db8::1"], ["192.0.2.1"], ["2001:db8::1"]),
        (["2001:db8::1"], ["2001:db8::1"], ["2001:db8::1"], []),
    ],
)
def test_a_published_address_that_the_host_has_not_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
    look: Look,
    published: list[str],
    wanted: list[str],
    here: list[str],
    wrong: list[str],
) -> None:
    """Half of all connections would fail."""
    kinds = {"A": [a for a in published if "." in a], "AAAA": [a for a in published if ":" in a]}
    answering(monkeypatch, kinds)
    monkeypatch.setattr(records, "addresses", lambda _: wanted)
    monkeypatch.setattr(records, "host_addresses", lambda: here)
    found = [check for check in names.addresses(look) if check.state == "wrong"]
    assert [check.text.split()[3].rstrip(",") for check in found] == wrong


def test_a_dead_resolver_is_wrong_and_the_rest_unknown(
    monkeypatch: pytest.MonkeyPatch, look: Look
) -> None:
    """Anything that cannot be checked is neither wrong nor good."""
    answering(monkeypatch, None)
    monkeypatch.setattr(records, "addresses", lambda _: ["192.0.2.1"])
    monkeypatch.setattr(records, "host_addresses", lambda: ["192.0.2.1"])
    keys.make(look.config.dkim[0].file)
    states = [
        check.state for one in (names.resolver, names.addresses, names.dkim) for check in one(look)
    ]
    assert states == ["wrong", "unknown", "unknown"]


def dkim(monkeypatch: pytest.MonkeyPatch, look: Look, *published: str) -> Check:
    """Check the key with these records published."""
    answering(monkeypatch, {"TXT": list(published)})
    [check] = names.dkim(look)
    return check


def test_a_published_key_is_good(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    """In any spelling."""
    record = keys.dns_record(keys.make(look.config.dkim[0].file))
    assert dkim(monkeypatch, look, record.replace(";", " ; ")) == Check(
        "DKIM key", "ok", "published"
    )
    keys.make(look.config.dkim[0].file)
    check = dkim(monkeypatch, look, record)
    assert (check.state, "by another key" in check.text) == ("wrong", True)
    assert "chatmail dns" in check.remedy
    assert dkim(monkeypatch, look).state == "wrong"


@pytest.mark.parametrize("content", [None, "", "garbage"])
def test_a_key_that_is_damaged_is_wrong(
    monkeypatch: pytest.MonkeyPatch, look: Look, content: str | None
) -> None:
    """Once only its size was checked."""
    if content is not None:
        look.config.dkim[0].file.write_text(content)
    check = dkim(monkeypatch, look, "v=DKIM1; p=")
    assert (check.state, str(look.config.dkim[0].file) in check.text) == ("wrong", True)
