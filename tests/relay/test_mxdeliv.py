"""`POST /mxdeliv`: delivery over HTTPS between relays, with the checks and replies of port 25."""

from __future__ import annotations

import contextlib
import http.client
import re
import smtplib
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from harness.process import wait_until
from people import messages
from people.dialogue import insecure
from people.people import Person
from people.strangers import Stranger, deliver

if TYPE_CHECKING:
    from harness.relay import Relay


def post(
    relay: Relay,
    body: bytes,
    sender: str | None,
    *recipients: str,
    method: str = "POST",
    source: str | None = None,
    fields: tuple[tuple[str, str], ...] = (),
) -> tuple[int, str]:
    """Deliver a message as a relay does; return status and text."""
    place = (source, 0) if source else None
    connection = http.client.HTTPSConnection(
        relay.address, 443, context=insecure(), timeout=60, source_address=place
    )
    connection.putrequest(method, "/mxdeliv", skip_host=True)
    connection.putheader("Host", relay.domain)
    if sender is not None:
        connection.putheader("X-MAIL-FROM", sender)
    for recipient in recipients:
        connection.putheader("X-MAIL-TO", recipient)
    for name, value in fields:
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    # A server may refuse before it has read the whole body.
    with contextlib.suppress(OSError):
        connection.send(body)
    response = connection.getresponse()
    text = response.read().decode().strip()
    connection.close()
    return response.status, text


def by_smtp(relay: Relay, body: bytes, sender: str, *recipients: str) -> str:
    """Deliver the same message on port 25; return the refusing reply, or "250 OK"."""
    try:
        deliver(relay, body, sender, *recipients)
    except smtplib.SMTPDataError as error:
        code, text = error.smtp_code, error.smtp_error
    except smtplib.SMTPSenderRefused as error:
        code, text = error.smtp_code, error.smtp_error
    except smtplib.SMTPRecipientsRefused as error:
        [(code, text)] = error.recipients.values()
    else:
        return "250 OK"
    return f"{code} {text.decode() if isinstance(text, bytes) else text}"


def test_accepts_a_message_for_several_recipients(
    alice: Person, bob: Person, stranger: Stranger
) -> None:
    """One request has a header per recipient; dots and long bodies arrive unchanged."""
    message = messages.encrypted(stranger.address(), bob.address)
    signed = stranger.signed(message)
    assert post(bob.relay, signed, stranger.address(), alice.address, bob.address) == (
        200,
        "250 OK",
    )
    for person in (alice, bob):
        assert messages.body(person.wait_for(message)) == messages.body(message)

    dotted = messages.compose(stranger.address(), bob.address, ".\n..\n.hidden\nx\n.\n")
    assert post(bob.relay, stranger.signed(dotted), "", bob.address) == (200, "250 OK")
    assert messages.body(bob.wait_for(dotted)) == messages.body(dotted)


@pytest.mark.parametrize("case", ["unsigned", "altered", "own-domain", "foreign", "author"])
def test_gives_the_same_answers_as_port_25(
    alice: Person, bob: Person, stranger: Stranger, case: str
) -> None:
    """Mail that port 25 refuses is refused here with the same text, in a status of 400."""
    message = messages.encrypted(stranger.address(), bob.address)
    signed = stranger.signed(message)
    sender, recipient, body = stranger.address(), bob.address, signed
    if case == "unsigned":
        body = message
    elif case == "altered":
        body = signed.replace(b"Subject: [...]", b"Subject: [..]")
    elif case == "own-domain":
        sender = alice.address
    elif case == "foreign":
        recipient = "somebody@elsewhere.test"
    else:
        body = b"From: <x@victim.test>\r\n" + signed

    status, text = post(bob.relay, body, sender, recipient)

    assert status == 400
    assert text == by_smtp(bob.relay, body, sender, recipient)
    assert re.match(r"[45]\d\d ", text)


def test_an_unproven_envelope_gets_no_bounce(bob: Person, stranger: Stranger) -> None:
    """DKIM proves the author but not MAIL FROM, so the message comes in with the null sender."""
    victim = "somebody@victim.test"
    posted, smtped, own = (messages.encrypted(stranger.address(), bob.address) for _ in range(3))

    assert post(bob.relay, stranger.signed(posted), victim, bob.address) == (200, "250 OK")
    assert by_smtp(bob.relay, stranger.signed(smtped), victim, bob.address) == "250 OK"
    assert post(bob.relay, stranger.signed(own), stranger.address(), bob.address)[0] == 200

    senders = [messages.header(bob.wait_for(one), "Return-Path") for one in (posted, smtped, own)]
    assert senders == [["<>"], ["<>"], [f"<{stranger.address()}>"]]


def test_the_peer_is_the_connecting_host(bob: Person) -> None:
    """An address literal must match the peer's IP address, which no header can change."""
    own, other = "192.0.2.103", "192.0.2.104"
    message = messages.encrypted(f"someone@[{own}]", bob.address)
    claims = (("X-Real-IP", own), ("X-Forwarded-For", own))

    status, text = post(
        bob.relay, message, f"someone@[{own}]", bob.address, source=other, fields=claims
    )
    assert (status, text) == (
        400,
        f"500 Invalid FROM domain literal: {own} does not match origin IP {other}",
    )
    assert post(bob.relay, message, f"someone@[{own}]", bob.address, source=own) == (200, "250 OK")
    bob.wait_for(message)


def test_the_size_limit_is_that_of_port_25(bob: Person, stranger: Stranger) -> None:
    """Nginx' default of 1 MB would refuse every picture; one octet above our limit is too many."""
    message = messages.encrypted_of_size(stranger.address(), bob.address, 5_000_000)
    assert post(bob.relay, stranger.signed(message), stranger.address(), bob.address)[0] == 200
    bob.wait_for(message)

    too_large = b"x" * (messages.MAX_SIZE + 1)
    assert post(bob.relay, too_large, stranger.address(), bob.address) == (
        413,
        "552 Message exceeds maximum size",
    )


def slow_posts(stack: ExitStack, relay: Relay, count: int, source: str) -> None:
    """Start this many requests and leave them unfinished until the stack is closed."""
    for _ in range(count):
        connection = http.client.HTTPSConnection(
            relay.address, 443, context=insecure(), timeout=60, source_address=(source, 0)
        )
        stack.callback(connection.close)
        connection.putrequest("POST", "/mxdeliv", skip_host=True)
        connection.putheader("Host", relay.domain)
        connection.putheader("X-MAIL-FROM", "someone@example.org")
        connection.putheader("X-MAIL-TO", f"somebody@{relay.domain}")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"x")


def test_slow_senders_delay_only_themselves(bob: Person, stranger: Stranger) -> None:
    """No network can use all slots, and a refused relay learns it at once and uses SMTP."""
    relay = bob.relay
    body = stranger.signed(messages.encrypted(stranger.address(), bob.address))
    with ExitStack() as stack:
        slow_posts(stack, relay, 20, "192.0.2.103")
        wait_until(
            lambda: post(relay, b"x", "", bob.address, source="192.0.2.103")[0] == 503,
            "no more places for one network",
            timeout=20,
        )
        other = post(relay, body, stranger.address(), bob.address, source="192.0.2.104")

    assert other == (200, "250 OK")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_refused(relay: Relay, method: str) -> None:
    """The contract requires 405."""
    assert post(relay, b"", None, method=method)[0] == 405


@pytest.mark.parametrize("address", ["a b", "<x>", "a@b> NOTIFY=NEVER", "ü@b"])
def test_addresses_cannot_carry_commands(relay: Relay, bob: Person, address: str) -> None:
    """The header value becomes part of an SMTP command, so it must be a plain address."""
    told = post(relay, b"x", "", address)
    assert told == (400, "501 5.1.3 Bad recipient address syntax")
    told = post(relay, b"x", address, bob.address)
    assert told == (400, "501 5.1.7 Bad sender address syntax")


def test_a_message_needs_a_recipient(relay: Relay) -> None:
    """The null sender is valid, the null recipient is not."""
    assert post(relay, b"x", "", "") == (400, "501 5.1.3 Bad recipient address syntax")
    assert post(relay, b"x", "") == (400, "501 5.1.3 Bad recipient address syntax")
