"""Submission: every reply that a client can get, its text and its place, and the delivered mail."""

from __future__ import annotations

import re
import smtplib
from typing import TYPE_CHECKING

import pytest

from people import handshakes, messages
from people.dialogue import Dialogue, insecure

if TYPE_CHECKING:
    from harness.relay import Relay
    from people.people import Person

NOT_ENCRYPTED = (523, b"Encryption Needed: Invalid Unencrypted Mail")


@pytest.mark.parametrize("port", [465, 587, 443])
def test_every_port_for_clients_sends(alice: Person, bob: Person, port: int) -> None:
    """Networks block some ports, and clients try one after the other."""
    message = messages.encrypted(alice.address, bob.address)
    with alice.submission(port) as smtp:
        smtp.data(alice.address, bob.address).send(message).say(".").expect("250 2.0.0 ")

    bob.wait_for(message)


def test_offers_login_only_within_tls(relay: Relay) -> None:
    """A client may use a login that is offered without TLS."""
    with Dialogue.connect(relay.address, 587) as smtp:
        smtp.expect("220 ")
        before = smtp.say("EHLO client.test").expect("250 ")
        refused = smtp.say("AUTH PLAIN AGFsaWNlAHNlY3JldA==").reply()
        smtp.say("STARTTLS").expect("220 ")
        smtp.secure()
        after = smtp.say("EHLO client.test").expect("250 ")

    assert "STARTTLS" in before
    assert "AUTH" not in before
    assert refused.startswith("530 5.7.0 Must issue a STARTTLS command first")
    assert "AUTH PLAIN" in after


def test_refuses_mail_before_tls(relay: Relay) -> None:
    """The envelope must not be sent unencrypted."""
    with Dialogue.connect(relay.address, 587) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO client.test").expect("250 ")

        smtp.say("MAIL FROM:<a@b.test>").expect("530 5.7.0 Must issue a STARTTLS command first")


def test_commands_before_starttls_do_not_count(relay: Relay) -> None:
    """Commands injected before the handshake would count as sent inside TLS (CVE-2011-0411)."""
    with Dialogue.connect(relay.address, 587) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO client.test").expect("250 ")
        smtp.send(b"STARTTLS\r\nNOOP\r\n").expect("220 ")
        smtp.secure()
        greeted = smtp.say("EHLO client.test").reply()

    assert greeted.splitlines()[0].startswith("250-")


@pytest.mark.parametrize("port", [465, 587])
def test_refuses_mail_before_login(relay: Relay, bob: Person, port: int) -> None:
    """The client ports are only for users with an account, whatever address they use."""
    with Dialogue.connect(relay.address, port, insecure() if port == 465 else None) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO client.test").expect("250 ")
        if port == 587:
            smtp.starttls()
        smtp.say(f"MAIL FROM:<{bob.address}>").reply()

        smtp.say(f"RCPT TO:<{bob.address}>").expect("554 5.7.1 ")


def test_refuses_unencrypted_mail_at_the_end_of_data(alice: Person, bob: Person) -> None:
    """Clients show the text, and test suites expect it as the reply to the message."""
    with pytest.raises(smtplib.SMTPDataError) as refused:
        alice.send(messages.cleartext(alice.address, bob.address), bob.address)

    assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED


def test_refuses_a_from_field_that_is_not_the_sender(alice: Person, bob: Person) -> None:
    """Readers trust the From field, so it must name the sending account."""
    message = messages.encrypted(bob.address, bob.address)

    with pytest.raises(smtplib.SMTPDataError) as refused:
        alice.send(message, bob.address)

    wanted = f"Invalid FROM <{bob.address}> for <{alice.address}>"
    assert (refused.value.smtp_code, refused.value.smtp_error) == (500, wanted.encode())


@pytest.mark.parametrize(
    "field",
    [
        "",
        "From:\r\n",
        "From: nobody\r\n",
        "From: <{alice}>, <{bob}>\r\n",
        "From: <{alice}>\r\nFrom: <{bob}>\r\n",
        "From: {bob} <{alice}>\r\n",
        "From: <{alice}> <{bob}>\r\n",
        "From: people: <{alice}>;\r\n",
    ],
)
def test_refuses_an_ambiguous_from_field(alice: Person, bob: Person, field: str) -> None:
    """Programs might disagree about the sender."""
    message = messages.encrypted(alice.address, bob.address)
    fields = field.format(alice=alice.address, bob=bob.address).encode()
    changed = message.replace(f"From: <{alice.address}>\r\n".encode(), fields)
    assert changed != message

    with pytest.raises(smtplib.SMTPDataError, match="Invalid FROM header: ") as refused:
        alice.send(changed, bob.address)

    assert refused.value.smtp_code == 500


def test_accepts_display_names(alice: Person, bob: Person) -> None:
    """Older clients send one, in any language, and not every address is in angle brackets."""
    message = messages.encrypted(alice.address, bob.address)
    for field in (
        f'"Alice, A." <{alice.address}>',
        f"=?utf-8?q?=C3=84?= <{alice.address}>",
        alice.address.upper(),
    ):
        named = message.replace(f"From: <{alice.address}>".encode(), f"From: {field}".encode())
        named = named.replace(
            messages.id_of(message).encode(), messages.new_id(alice.address).encode()
        )
        alice.send(named, bob.address)

        assert messages.header(bob.wait_for(named), "From") == [f"<{alice.address}>"]


def test_refuses_a_foreign_envelope_sender_at_rcpt(alice: Person, bob: Person) -> None:
    """Bounces go to the envelope sender, so it must be the sending account."""
    message = messages.encrypted(bob.address, bob.address)

    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        alice.send(message, bob.address, sender=bob.address)

    code, text = refused.value.recipients[bob.address]
    assert code == 553
    assert text.startswith(b"5.7.1 ")
    assert b"Sender address rejected: not owned by user " + alice.address.encode() in text


@pytest.mark.parametrize("sender", ["", "someone@elsewhere.test", "postmaster"])
def test_refuses_other_envelope_senders(alice: Person, bob: Person, sender: str) -> None:
    """The null sender is for mail servers, and other domains are for others."""
    with alice.submission(465) as smtp:
        said = smtp.say(f"MAIL FROM:<{sender}>").reply()
        if said.startswith("250 "):
            said = smtp.say(f"RCPT TO:<{bob.address}>").reply()

    assert re.match(r"55[0-4] 5\.", said)


def test_a_line_of_one_dot_is_text(alice: Person) -> None:
    """The client doubles the dot, and the relay removes one (RFC 5321 4.5.2)."""
    text = "above\n.\n..\n.hidden\nbelow"
    message = handshakes.setup_message(alice.address, alice.address, text)
    alice.send(message, alice.address)

    arrived = alice.wait_for(message)

    assert messages.crlf(f"\n\n{text}\n") in arrived
    assert messages.body(arrived) == messages.body(message)


def test_eight_bit_text_arrives_unchanged(alice: Person) -> None:
    """Signatures cover every octet, and nothing in transit needs seven bits (RFC 6152)."""
    message = handshakes.setup_message(alice.address, alice.address, "Grüße, привет, 你好")
    with alice.smtp() as session:
        assert session.has_extn("8bitmime")
        session.sendmail(alice.address, [alice.address], message, mail_options=["BODY=8BITMIME"])

    assert messages.body(alice.wait_for(message)) == messages.body(message)


def test_vrfy_reveals_nothing(relay: Relay, alice: Person) -> None:
    """Existing and unknown addresses get the same answer, so no one can collect addresses."""
    with smtplib.SMTP(relay.address, 25, timeout=15) as session:
        session.starttls(context=insecure())
        known = session.docmd("VRFY", alice.address)
        unknown = session.docmd("VRFY", f"wrongaddr@{relay.domain}")
        bare = session.docmd("VRFY", "someone")

    for code, text in (known, unknown, bare):
        assert code == 252
        assert text.startswith(b"2.0.0 ")
    assert known[1].replace(alice.address.encode(), b"") == unknown[1].replace(
        f"wrongaddr@{relay.domain}".encode(), b""
    )


def test_expn_and_etrn_are_not_offered(relay: Relay) -> None:
    """Mailing lists and queue runs are not for clients."""
    with Dialogue.connect(relay.address, 25) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO client.test").expect("250 ")
        smtp.starttls()

        for command in ("EXPN staff", "ETRN elsewhere.test"):
            assert smtp.say(command).reply()[0] in "45"


def test_several_messages_pass_over_one_connection(alice: Person, bob: Person) -> None:
    """A refused message does not affect later ones, and RSET discards what was begun."""
    first, last = (messages.encrypted(alice.address, bob.address) for _ in range(2))
    refused = messages.cleartext(alice.address, bob.address)
    with alice.submission(465) as smtp:
        smtp.data(alice.address, bob.address).send(first).say(".").expect("250 ")
        smtp.data(alice.address, bob.address).send(refused).say(".").expect("523 ")
        smtp.say(f"MAIL FROM:<{alice.address}>").expect("250 ")
        smtp.say("RSET").expect("250 ")
        smtp.data(alice.address, bob.address).send(last).say(".").expect("250 ")

    assert bob.inbox_after(last) == [messages.id_of(first)]


def test_a_wrong_order_is_only_refused(alice: Person, bob: Person) -> None:
    """A confused client gets an error and may start again."""
    with alice.submission(465) as smtp:
        smtp.say("DATA").expect("503 5.5.1 ")
        smtp.say(f"RCPT TO:<{bob.address}>").expect("503 5.5.1 ")
        smtp.say("STARTTLS").expect("5")
        smtp.say("AUTH PLAIN AGEAYg==").expect("503 5.5.1 ")
        message = messages.encrypted(alice.address, bob.address)
        smtp.data(alice.address, bob.address).send(message).say(".").expect("250 ")

    bob.wait_for(message)


def test_a_message_to_oneself_arrives(alice: Person) -> None:
    """The user's other devices get copies of sent messages in this way."""
    message = messages.encrypted(alice.address, alice.address)
    alice.send(message, alice.address)

    assert messages.body(alice.wait_for(message)) == messages.body(message)


@pytest.mark.parametrize(
    "field", [b"Subject : a secret", b"User-Agent\t: One", b"Received : by me"]
)
def test_space_before_a_colon_does_not_hide_a_field(
    alice: Person, bob: Person, field: bytes
) -> None:
    """RFC 5322 4.5 allows it in old mail, and readers accept such a field."""
    message = messages.encrypted(alice.address, bob.address)
    first, rest = message.split(b"\r\n", 1)
    with alice.submission() as smtp:
        smtp.data(alice.address, bob.address).send(b"\r\n".join([first, field, rest]))
        smtp.say(".").expect("250 2.0.0 ")

    head = bob.wait_for(message).partition(b"\r\n\r\n")[0]

    assert field.partition(b":")[2].strip() not in head
    assert len(messages.header(head, "Subject")) <= 1


def test_a_second_author_with_a_space_is_refused(alice: Person, bob: Person) -> None:
    """Some readers would show this one."""
    message = messages.encrypted(alice.address, bob.address)
    first, rest = message.split(b"\r\n", 1)
    with alice.submission() as smtp:
        forged = [first, b"From : Mallory <m@_one.test>", rest]
        smtp.data(alice.address, bob.address).send(b"\r\n".join(forged))
        smtp.say(".").expect("500 Invalid FROM header: 2 From fields")
