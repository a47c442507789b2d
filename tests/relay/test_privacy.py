"""Nothing about people in what arrives; what stays on the machine is in test_traces.py."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from people import messages
from people.busy_minute import DESK, HOME, OFFICE, TELLING, TRACES, submitted
from people.strangers import port_25

if TYPE_CHECKING:
    from people.people import Person
    from people.strangers import Stranger


def test_what_arrives_tells_nothing_of_where_it_was_written(alice: Person, bob: Person) -> None:
    """Whoever sees the mailbox learns neither place nor program nor the Subject's words."""
    arrived = bob.wait_for(submitted(alice, bob.address))

    assert not [trace for trace in TRACES if trace.encode() in arrived]
    assert messages.header(arrived, "Subject") == ["[...]"]


def test_the_only_received_field_names_the_relay(alice: Person, bob: Person) -> None:
    """Loops are found by it, so there is one, and it says nothing of the client or of TLS."""
    arrived = bob.wait_for(submitted(alice, bob.address))

    fields = messages.header(arrived, "Received")
    assert len(fields) == 1
    assert re.fullmatch(
        rf"by {re.escape(alice.relay.domain)} \(Postfix\) id \w+"
        rf"\s+for <{re.escape(bob.address)}>; \w{{3}}, [^;]+ \+0000 \(UTC\)",
        fields[0],
    )


def test_the_header_holds_nothing_unforeseen(alice: Person, bob: Person) -> None:
    """A field nobody thought of is a field that nobody looked at."""
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


def test_the_servers_on_the_way_are_forgotten(bob: Person, stranger: Stranger) -> None:
    """What its sender's server wrote down of the sender is of no use to a reader."""
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


def test_a_bounce_tells_no_address_of_the_client(alice: Person) -> None:
    """The report repeats the header of the message that did not arrive."""
    nobody, _ = alice.relay.credentials()
    submitted(alice, nobody)

    bounce = alice.wait_for_any()

    assert not [trace for trace in TRACES if trace.encode() in bounce]
