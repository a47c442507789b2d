"""Tests with two relays: their users write to each other, with and without Delta Chat."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import deltachat
from harness.lab import Lab
from harness.relay import Relay
from people import messages
from people.people import Person


@pytest.fixture
def other(lab: Lab) -> Relay:
    """The second relay."""
    return lab.relay("_two.test")


def test_an_encrypted_message_reaches_the_other_relay(relay: Relay, other: Relay) -> None:
    """Its DKIM key is found in the zone that the first relay prints."""
    alice, bob = Person.on(relay), Person.on(other)
    message = messages.encrypted(alice.address, bob.address)
    alice.send(message, bob.address)

    assert b"DKIM-Signature" in bob.wait_for(message)


def test_two_cores_talk_across_relays(relay: Relay, other: Relay, tmp_path: Path) -> None:
    """They have the first exchange of two users after scanning a code."""
    with deltachat.core(tmp_path) as core:
        exchange = deltachat.exchange(core.account(relay, "Alice"), core.account(other, "Bob"))

    assert exchange.there > 0
    assert exchange.back > 0
