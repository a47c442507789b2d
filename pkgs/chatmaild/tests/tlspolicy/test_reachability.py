"""Destinations that get the many delivery processes, and those that share the few."""

import asyncio

import pytest

from chatmaild.postfix import socketmap
from chatmaild.tlspolicy import reachability
from chatmaild.tlspolicy.reachability import Reachability


@pytest.fixture
def known() -> Reachability:
    """Provide a memory in which well.test has two servers, one of which has sent a greeting."""
    found = Reachability()
    found.resolved("well.test", ["192.0.2.1", "2001:db8::1"], 0)
    found.greeted("192.0.2.1")
    return found


def test_a_server_that_greeted_is_reachable_by_all_its_names(known: Reachability) -> None:
    """The greeting counts for the server, whatever the domain."""
    known.resolved("other.test", ["192.0.2.1"], 0)

    assert known.answers("well.test")
    assert known.answers("other.test")


def test_a_new_domain_is_not_known_to_answer() -> None:
    """A stranger can invent any number of names."""
    known = Reachability()
    known.resolved("new.test", ["192.0.2.9"], 0)

    assert not known.answers("new.test")
    assert not known.answers("never.test")


def test_a_failure_lasts_until_the_next_greeting(known: Reachability) -> None:
    """A server may send one greeting and then be silent."""
    known.failed("192.0.2.1")
    assert not known.answers("well.test")

    known.greeted("192.0.2.1")
    assert known.answers("well.test")


def test_a_failure_names_the_last_server_and_means_all(known: Reachability) -> None:
    """The one that greeted us by IPv4 was tried before the one that is named by IPv6."""
    known.failed("2001:db8::1")

    assert not known.answers("well.test")


def test_the_addresses_of_one_ipv6_network_are_one_server(known: Reachability) -> None:
    """One host can use a new address for each connection."""
    known.greeted("2001:db8:1::1")
    known.resolved("six.test", ["2001:db8:1::ffff"], 0)
    assert known.answers("six.test")

    known.failed("2001:db8:1::2")
    assert not known.answers("six.test")


def test_addresses_are_looked_up_again_after_an_hour(known: Reachability) -> None:
    """A destination may move, and its old server's greeting says nothing about the new one."""
    assert known.is_stale("never.test", 10)
    assert not known.is_stale("well.test", 3599)
    assert known.is_stale("well.test", 3600)

    known.resolved("well.test", ["192.0.2.77"], 3600)
    assert not known.answers("well.test")


@pytest.mark.parametrize("key", ["", "nonsense", "192.0.2.300", "a" * 500])
def test_a_key_without_an_address_changes_nothing(known: Reachability, key: str) -> None:
    """Postfix' texts may change."""
    known.greeted(key)
    known.failed(key)

    assert known.answers("well.test")


def test_the_memory_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers choose names and addresses."""
    monkeypatch.setattr(reachability, "MAX_SERVERS", 2)
    monkeypatch.setattr(reachability, "MAX_DOMAINS", 2)
    known = Reachability()
    for number in range(4):
        known.resolved(f"{number}.test", [f"192.0.2.{number}"], 0)
        known.greeted(f"192.0.2.{number}")

    assert [known.answers(f"{number}.test") for number in range(4)] == [False, False, True, True]


def test_a_recipient_that_is_not_ascii_is_answered() -> None:
    """Postfix looks it up before it refuses it, and no answer made that a temporary refusal."""

    async def read() -> tuple[str, str]:
        reader = asyncio.StreamReader()
        request = "transport виктим@elsewhere.test".encode()
        reader.feed_data(b"%d:%s," % (len(request), request))
        return await socketmap.read(reader)

    assert asyncio.run(read()) == ("transport", "виктим@elsewhere.test")
