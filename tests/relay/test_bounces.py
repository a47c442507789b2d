"""Bounces: exactly one, signed and readable, to the sender of a message and to no one else."""

from __future__ import annotations

import json
import smtplib
from typing import TYPE_CHECKING

import dkim
import pytest

from harness.process import wait_until
from harness.stranger import MailServer
from people import messages
from people.outgoing import hurry
from people.people import Person
from people.strangers import Stranger, deliver, txt_record

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def sender(lab: Lab) -> Relay:
    """A relay with a publicly trusted certificate."""
    return lab.relay("bouncing.test")


@pytest.fixture
def alice(sender: Relay) -> Person:
    """A user who sends mail."""
    return Person.on(sender)


@pytest.fixture(scope="module")
def victim(lab: Lab) -> MailServer:
    """A server that is not involved."""
    return MailServer.up(lab, "victim.test")


def queued(relay: Relay) -> list[str]:
    """Return the senders of the messages in the queue."""
    lines = relay.machine.run(["postqueue", "-j"]).out.splitlines()
    return [json.loads(line)["sender"] for line in lines]


def is_good_bounce(bounce: bytes, person: Person, recipient: str, message: bytes, why: str) -> None:
    """Check that users and programs can read it, and what it reports."""
    domain = person.relay.domain
    assert messages.header(bounce, "From") == [f"Mail Delivery System <MAILER-DAEMON@{domain}>"]
    assert messages.header(bounce, "To") == [person.address]
    assert messages.header(bounce, "Return-Path") == ["<>"]
    assert messages.header(bounce, "Auto-Submitted") == ["auto-replied"]
    assert messages.header(bounce, "Content-Type")[0].startswith("multipart/report")
    text = " ".join(messages.body(bounce).decode().split())
    assert "could not be delivered" in text
    assert "Action: failed" in text
    assert f"Final-Recipient: rfc822; {recipient}" in text
    assert why in text
    assert messages.id_of(message) in text
    # The bounce contains nothing of the body: the relay's signature would let anyone spread it in
    # the relay's name.
    assert "Content-Type: text/rfc822-headers" in text
    assert "-----BEGIN" not in text


def only_bounce(person: Person) -> bytes:
    """Wait for a bounce, and check that no other one follows."""
    person.wait_for_any(seconds=40)
    last = messages.encrypted(person.address, person.address)
    person.send(last, person.address)
    person.wait_for(last)
    [bounce] = [mail for mail in person.inbox() if b"multipart/report" in mail]
    return bounce


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("unknown", "550 5.1.1 <unknown@classic.test>"),
        ("refused", "554 5.7.1 <refused@classic.test>"),
    ],
)
def test_a_refusal_by_another_server_is_bounced_once(
    alice: Person, classic: MailServer, name: str, why: str
) -> None:
    """The bounce quotes the server's reply, so that the cause can be found."""
    recipient = f"{name}@{classic.domain}"
    message = messages.encrypted(alice.address, recipient)
    alice.send(message, recipient)

    is_good_bounce(only_bounce(alice), alice, recipient, message, why)


def test_an_unknown_address_of_another_relay_is_bounced_once(
    alice: Person, public_relay: Relay
) -> None:
    """Relays accept mail for every name and bounce afterwards, so that names cannot be probed."""
    recipient = public_relay.credentials()[0]
    message = messages.encrypted(alice.address, recipient)
    alice.send(message, recipient)

    alice.wait_for_any(seconds=40)
    [bounce] = alice.inbox()
    assert messages.header(bounce, "From")[0].endswith(f"<MAILER-DAEMON@{public_relay.domain}>")
    assert recipient in messages.body(bounce).decode()
    assert messages.header(bounce, "Content-Type")[0].startswith("multipart/report")


def test_mail_for_a_full_mailbox_is_bounced_in_the_end(lab: Lab) -> None:
    """Mail waits for room, here for fifteen seconds, and is not lost silently."""
    settings = {"message": {"maxSize": "64K"}, "mailbox": {"maxSize": "200K"}}
    relay = lab.relay("full.test", settings)
    # chatmail-trim must not make room before the mail arrives.
    relay.machine.run("systemctl stop chatmail-trim.socket chatmail-trim.service")
    hurry(relay)
    alice, bob = Person.on(relay), Person.on(relay)
    # Send one after the other: simultaneous messages would all find room and together exceed the
    # quota.
    for _ in range(3):
        message = messages.encrypted_of_size(alice.address, bob.address, 60_000)
        alice.send(message, bob.address)
        bob.wait_for(message)
    alice.send(messages.encrypted_of_size(alice.address, bob.address, 60_000), bob.address)

    def failed() -> list[bytes]:
        return [mail for mail in alice.inbox() if b"Action: failed" in mail]

    wait_until(failed, "a bounce", timeout=60, step=0.5)
    text = " ".join(messages.body(failed()[0]).decode().split())
    assert "Quota exceeded (mailbox for user is full)" in text
    assert f"Final-Recipient: rfc822; {bob.address}" in text


def test_mail_for_an_unreachable_relay_is_bounced_in_the_end(lab: Lab) -> None:
    """After two days, here fifteen seconds, the sender learns what was tried."""
    relay = lab.relay("hurried.test")
    hurry(relay)
    alice = Person.on(relay)
    lab.dns.publish("gone.test", [("@", "MX", "10 mx.gone.test."), ("mx", "A", "192.0.2.99")])
    recipient = "someone@gone.test"
    message = messages.encrypted(alice.address, recipient)
    alice.send(message, recipient)

    def failed() -> list[bytes]:
        return [mail for mail in alice.inbox() if b"Action: failed" in mail]

    wait_until(failed, "a bounce", timeout=60, step=0.5)
    [bounce] = failed()
    is_good_bounce(bounce, alice, recipient, message, "connect to mx.gone.test[192.0.2.99]:25")


def test_a_stranger_cannot_direct_a_bounce_at_others(
    sender: Relay, stranger: Stranger, victim: MailServer, lab: Lab
) -> None:
    """Mail signed by another domain in the victim's name, to an unknown address, gets no bounce."""
    nobody, _ = sender.credentials()
    message = messages.encrypted(stranger.address(), nobody)
    deliver(sender, stranger.signed(message), f"target@{victim.domain}", nobody)
    # A full mailbox, or a refusal later on, has the same effect, because bounces go to the envelope
    # sender.
    wait_until(lambda: queued(sender) == [], "the queue is empty", timeout=20)

    # The next mail that is sent to the victim must be the first to arrive.
    bob = Person.on(sender)
    last = messages.encrypted(bob.address, f"target@{victim.domain}")
    bob.send(last, f"target@{victim.domain}")
    victim.wait_for(messages.id_of(last))
    assert len(victim.received()) == 1


def test_an_honest_stranger_gets_a_bounce(sender: Relay, classic: MailServer) -> None:
    """If DKIM also proves the envelope's domain, the bounce is sent, with a signature."""
    nobody, _ = sender.credentials()
    there = f"honest@{classic.domain}"
    message = messages.cleartext(there, nobody)
    classic.send(message, there, nobody)

    def bounces() -> list[bytes]:
        return [mail for mail in classic.received() if nobody.encode() in mail]

    wait_until(bounces, "a bounce at the classic server", timeout=30)
    [bounce] = bounces()
    assert messages.id_of(message).encode() in bounce
    assert messages.PHRASE.encode() not in bounce
    assert dkim.verify(bounce, dnsfunc=txt_record)

    # The bounce quotes the stranger's words, its signature is valid, and it is not accepted again.
    with pytest.raises(smtplib.SMTPDataError) as refused:
        deliver(sender, bounce, "", Person.on(sender).address)
    assert refused.value.smtp_code == 550


def test_mail_from_the_null_sender_is_never_bounced(sender: Relay, stranger: Stranger) -> None:
    """RFC 5321 4.5.5: otherwise two servers would send bounces to each other forever."""
    nobody, _ = sender.credentials()
    deliver(sender, stranger.signed(messages.encrypted(stranger.address(), nobody)), "", nobody)

    wait_until(lambda: queued(sender) == [], "the queue is empty", timeout=20)
    assert "MAILER-DAEMON" not in sender.machine.run(["postqueue", "-p"]).out


def test_mail_with_another_envelope_still_arrives(bob: Person, stranger: Stranger) -> None:
    """Mailing services use their own envelope senders. Newsletters arrive, but get no bounces."""
    message = messages.encrypted(stranger.address(), bob.address)
    stranger.deliver(bob.relay, message, bob.address, sender="bounce-17@service.test")
    aligned = messages.encrypted(stranger.address(), bob.address)
    stranger.deliver(bob.relay, aligned, bob.address, sender=f"bounce-17@mail.{stranger.domain}")

    assert messages.header(bob.wait_for(message), "Return-Path") == ["<>"]
    assert messages.header(bob.wait_for(aligned), "Return-Path") == [
        f"<bounce-17@mail.{stranger.domain}>"
    ]
