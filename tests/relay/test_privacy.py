"""Delivered mail contains no personal data; test_traces.py is about data on the machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from people import messages
from people.busy_minute import DESK, HOME, OFFICE, TELLING, TRACES, submitted
from people.strangers import port_25

if TYPE_CHECKING:
    from people.people import Person
    from people.strangers import Stranger


def test_delivered_mail_does_not_reveal_its_origin(alice: Person, bob: Person) -> None:
    """It shows neither place nor program nor subject."""
    arrived = bob.wait_for(submitted(alice, bob.address))

    assert not [trace for trace in TRACES if trace.encode() in arrived]
    assert messages.header(arrived, "Subject") == ["[...]"]


def test_the_only_received_field_names_the_relay(alice: Person, bob: Person) -> None:
    """Loop detection needs one such field; it does not mention the client or TLS."""
    arrived = bob.wait_for(submitted(alice, bob.address))

    fields = messages.header(arrived, "Received")
    assert len(fields) == 1
    assert re.fullmatch(
        rf"by {re.escape(alice.relay.domain)} \(Postfix\) id \w+"
        rf"\s+for <{re.escape(bob.address)}>; \w{{3}}, [^;]+ \+0000 \(UTC\)",
        fields[0],
    )


def test_the_header_has_only_known_fields(alice: Person, bob: Person) -> None:
    """Unknown fields might contain personal data."""
    arrived = bob.wait_for(submitted(alice, bob.address))

    head = arrived.partition(b"\r\n\r\n")[0].decode()
    names = {found.lower() for found in re.findall(r"^([\w-]+):", head, re.MULTILINE)}
    assert names == {
        "return-path",
        "delivered-to",
        "received",
        "dkim-signature",
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "chat-version",
        "mime-version",
        "content-type",
    }


def test_traces_of_other_servers_are_removed(bob: Person, stranger: Stranger) -> None:
    """Readers do not need what the sender's server recorded about the sender."""
    author = stranger.address()
    armor = messages.armor_for(author, bob.address)
    message = messages.pgp_mime(author, bob.address, armor, fields=(TELLING[0], TELLING[-1]))
    with port_25(bob.relay, source=HOME) as session:
        session.sendmail(author, [bob.address], stranger.signed(message))

    arrived = bob.wait_for(message)

    assert HOME.encode() not in arrived
    assert OFFICE.encode() not in arrived
    assert DESK not in " ".join(messages.header(arrived, "Received"))
    assert not messages.header(arrived, "Authentication-Results")
    assert not messages.header(arrived, "X-Spam-Status")


def test_a_bounce_contains_no_client_address(alice: Person) -> None:
    """It repeats the header of the message that did not arrive."""
    nobody, _ = alice.relay.credentials()
    submitted(alice, nobody)

    bounce = alice.wait_for_any()

    assert not [trace for trace in TRACES if trace.encode() in bounce]
