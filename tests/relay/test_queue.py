"""`chatmail queue` with real queues: what is waiting, why and until when, and changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.network import address4
from harness.process import wait_until
from harness.stranger import MailServer
from people import messages
from people.outgoing import deferred, empty_queue, send
from people.people import Person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)

DEAD = ("dead.test", "gone.test")


@pytest.fixture(scope="module")
def relay_(lab: Lab) -> Relay:
    """A relay with two peers that no longer exist."""
    for domain in DEAD:
        lab.dns.publish(domain, [("@", "MX", f"10 mx.{domain}."), ("mx", "A", address4(115))])
    return lab.relay("queue.test")


@pytest.fixture
def alice(relay_: Relay) -> Iterator[Person]:
    """A user who writes; her mail that still waits is deleted afterwards."""
    yield Person.on(relay_)
    empty_queue(relay_)


def waiting(relay: Relay) -> dict[str, dict[str, Any]]:
    """Return the waiting mail: destination -> its description."""
    listed = json.loads(relay.chatmail("queue", "--json").out)
    return {one["destination"]: one for one in listed}


def written(alice: Person, relay: Relay, *domains: str) -> None:
    """Write a message to a recipient at each domain, and wait until it is queued."""
    for domain in domains:
        send(alice, f"someone@{domain}")
    for domain in domains:
        deferred(relay, f"someone@{domain}")


def test_says_how_much_waits_for_whom_and_why(alice: Person, relay_: Relay) -> None:
    """With the next try, which is in minutes, not days."""
    assert relay_.chatmail("queue").out == "no mail is waiting\n"
    written(alice, relay_, "dead.test", "dead.test", "gone.test")

    found = waiting(relay_)
    assert [found[domain]["messages"] for domain in DEAD] == [2, 1]
    for domain in DEAD:
        assert f"connect to mx.{domain}" in found[domain]["reason"]
        assert 0 <= found[domain]["oldest_seconds"] < 120
        assert 0 < found[domain]["next_try_seconds"] < 3600
    shown = relay_.chatmail("queue").out
    assert "dead.test" in shown
    assert "@" not in shown
    assert (
        f"from {alice.address}\n  to   someone@dead.test"
        in relay_.chatmail("queue", "show", "dead.test").out
    )


def test_holds_releases_and_drops(alice: Person, relay_: Relay) -> None:
    """Only the given messages are changed, and unknown ones are reported."""
    written(alice, relay_, *DEAD)

    assert relay_.chatmail("queue", "hold", "dead.test").out == "dead.test: 1 message is held\n"
    assert waiting(relay_)["dead.test"]["held"] == 1
    assert relay_.chatmail("queue", "release", "dead.test").out.endswith("is released\n")
    assert waiting(relay_)["dead.test"]["held"] == 0
    assert relay_.chatmail("queue", "drop", "dead.test").out.endswith("is dropped\n")
    assert set(waiting(relay_)) == {"gone.test"}
    said = relay_.chatmail("queue", "drop", "dead.test", check=False)
    assert said.status == 1
    assert said.err == "chatmail queue: no mail is waiting for dead.test\n"
    assert alice.inbox() == []


def test_a_message_for_others_as_well_is_not_dropped_with_a_destination(
    alice: Person, relay_: Relay
) -> None:
    """Its other recipients would lose it."""
    recipients = [f"someone@{domain}" for domain in DEAD]
    alice.send(messages.encrypted(alice.address, recipients[0]), *recipients)
    for recipient in recipients:
        deferred(relay_, recipient)

    said = relay_.chatmail("queue", "drop", "dead.test")

    assert "because they also wait for other destinations" in said.err
    assert set(waiting(relay_)) == set(DEAD)


def test_a_held_message_is_returned_to_its_sender(alice: Person, relay_: Relay) -> None:
    """The sender learns of the failure at once, instead of in two days."""
    written(alice, relay_, "dead.test")
    relay_.chatmail("queue", "hold", "dead.test")

    relay_.chatmail("queue", "bounce", "dead.test")

    wait_until(lambda: len(alice.inbox()) == 1, "a bounce has come", timeout=60)
    assert messages.header(alice.inbox()[0], "Subject") == ["Undelivered Mail Returned to Sender"]
    wait_until(lambda: waiting(relay_) == {}, "nothing waits any more", timeout=30)


def test_a_server_that_is_back_gets_its_mail_at_once(
    lab: Lab, alice: Person, relay_: Relay
) -> None:
    """Otherwise Postfix tries again after minutes or hours."""
    server = MailServer.up(lab, "back.test")
    server.machine.run(["systemctl", "stop", "postfix"])
    message = send(alice, "someone@back.test")
    deferred(relay_, "someone@back.test")
    server.machine.run(["systemctl", "start", "postfix"])
    server.machine.wait_for_port(25)

    assert relay_.chatmail("queue", "retry", "back.test").out.endswith("1 message is tried again\n")
    server.wait_for(message)
