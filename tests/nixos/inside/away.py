"""Mail for a relay that is switched off; the VM test runs these tests one by one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.lab import Lab
from harness.relay import Relay
from people import messages
from people.people import Person

# Kept from one run to the next.
NOTES = Path("/tmp/away.json")


@pytest.fixture
def other(lab: Lab) -> Relay:
    """The relay that is switched off in between."""
    return lab.relay("_two.test")


def test_bob_has_an_address(other: Relay) -> None:
    """His relay is up."""
    bob = Person.on(other)
    NOTES.write_text(json.dumps({"address": bob.address, "password": bob.password}))


def test_alice_writes_to_him(relay: Relay) -> None:
    """Her relay accepts the message, whether his is up or not."""
    notes = json.loads(NOTES.read_text())
    alice = Person.on(relay)
    message = messages.encrypted(alice.address, notes["address"])
    alice.send(message, notes["address"])
    NOTES.write_text(json.dumps(notes | {"message": messages.id_of(message)}))


def test_bob_gets_it(other: Relay) -> None:
    """His relay is up again."""
    notes = json.loads(NOTES.read_text())

    assert Person(other, notes["address"], notes["password"]).wait_for(notes["message"], 60)
