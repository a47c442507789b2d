"""Limits on rate, size and number: each exactly, with the replies beyond it."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

import pytest

from people import handshakes, messages
from people.dialogue import Dialogue, insecure

if TYPE_CHECKING:
    from harness.relay import Relay
    from people.people import Person


def test_limits_the_rate_of_each_account(alice: Person, bob: Person) -> None:
    """Ten messages at once are a group chat, hundreds are spam; clients retry after a 4xx."""
    refused: tuple[int, bytes] | None = None
    sent = 0
    with alice.smtp() as session:
        while refused is None and sent < 180:
            message = messages.encrypted(alice.address, bob.address)
            try:
                session.sendmail(alice.address, [bob.address], message)
            except smtplib.SMTPRecipientsRefused as late:
                refused = late.recipients[bob.address]
            else:
                sent += 1

    assert refused is not None
    assert 10 <= sent < 180
    assert refused[0] == 450
    wanted = f"4.7.1: Too much mail from <{alice.address}>, rate limited until "
    assert refused[1].decode().startswith(wanted)
    last = messages.encrypted(bob.address, alice.address)
    bob.send(last, alice.address)
    alice.wait_for(last)


def test_an_account_cannot_use_up_the_budget_of_others(alice: Person, bob: Person) -> None:
    """With a limit per envelope address, a user could block another one."""
    for _ in range(2):
        # Twice six, because Postfix slows down after the tenth error of a connection.
        with bob.submission(465) as smtp:
            for _ in range(6):
                smtp.say(f"MAIL FROM:<{alice.address}>").reply()
                smtp.say(f"RCPT TO:<{bob.address}>").expect("553 ")
                smtp.say("RSET").expect("250 ")

    message = messages.encrypted(alice.address, bob.address)
    alice.send(message, bob.address)
    bob.wait_for(message)


def test_one_message_has_many_recipients_and_counts_once(alice: Person, bob: Person) -> None:
    """Clients read the limit from METADATA and send further copies as another message."""
    limit = alice.relay.value.daemons["sending"]["maxRecipients"]
    recipients = [bob.address, *(f"nobody{n:03}@{alice.relay.domain}" for n in range(limit))]
    with alice.submission(465) as smtp:
        smtp.say(f"MAIL FROM:<{alice.address}>").expect("250 ")
        smtp.send("".join(f"RCPT TO:<{one}>\r\n" for one in recipients).encode())
        said = [smtp.reply() for _ in recipients]

    assert {reply[:3] for reply in said[:limit]} == {"250"}
    assert said[limit].startswith("452 4.5.3 ")


def test_accepts_the_largest_message_unchanged(alice: Person, bob: Person) -> None:
    """A message of exactly the limit is sent and arrives octet for octet."""
    message = messages.encrypted_of_size(alice.address, bob.address, messages.MAX_SIZE)
    alice.send(message, bob.address)

    arrived = bob.wait_for(message, seconds=60)

    assert messages.body(arrived) == messages.body(message)


def test_refuses_one_octet_too_many(alice: Person, bob: Person) -> None:
    """A client that announces the size is refused at MAIL FROM, others after the message."""
    message = messages.encrypted_of_size(alice.address, bob.address, messages.MAX_SIZE + 1)
    with alice.submission(465) as smtp:
        told = smtp.say(f"MAIL FROM:<{alice.address}> SIZE={len(message)}").reply()
        smtp.say("RSET").expect("250 ")
        smtp.data(alice.address, bob.address).send(message)
        untold = smtp.say(".").reply()

    assert told == "552 5.3.4 Message size exceeds fixed limit"
    assert untold == "552 5.3.4 Error: message file too big"


def test_announces_the_size_limit(relay: Relay) -> None:
    """Clients refuse larger messages before they upload them (RFC 1870)."""
    with Dialogue.connect(relay.address, 465, insecure()) as smtp:
        smtp.expect("220 ")
        said = smtp.say("EHLO client.test").expect("250 ")

    assert f"SIZE {messages.MAX_SIZE}" in said


def test_refuses_lines_that_are_too_long(alice: Person) -> None:
    """Lines over RFC 5322's 998 octets are folded in transit, which breaks the signature."""
    longest = handshakes.setup_message(alice.address, alice.address, "x" * 998)
    too_long = handshakes.setup_message(alice.address, alice.address, "x" * 999)
    alice.send(longest, alice.address)

    with pytest.raises(smtplib.SMTPDataError) as refused:
        alice.send(too_long, alice.address)

    wanted = b"Failed to parse message: a line is longer than 998 octets"
    assert (refused.value.smtp_code, refused.value.smtp_error) == (500, wanted)
    assert messages.body(alice.wait_for(longest)) == messages.body(longest)
