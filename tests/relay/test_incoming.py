"""Port 25: mail from other servers, its authentication, and the replies."""

from __future__ import annotations

import re
import smtplib
import ssl
from typing import TYPE_CHECKING

import dkim
import pytest

from people import messages
from people.dialogue import Dialogue, insecure
from people.people import Person
from people.strangers import Stranger, deliver, port_25, txt_record

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay
    from harness.stranger import MailServer

NO_SIGNATURE = (554, b"5.7.1 No DKIM signature found")
NO_VALID_SIGNATURE = (554, b"5.7.1 No valid DKIM signature found")


def refused(relay: Relay, message: bytes, sender: str, recipient: str) -> tuple[int, bytes]:
    """Deliver mail that must be refused; return the reply at the end of the message."""
    with pytest.raises(smtplib.SMTPDataError) as error:
        deliver(relay, message, sender, recipient)
    text = error.value.smtp_error
    return error.value.smtp_code, text if isinstance(text, bytes) else text.encode()


def test_requires_tls(relay: Relay, bob: Person) -> None:
    """No one on the network path may see who writes to whom."""
    with Dialogue.connect(relay.address, 25) as smtp:
        smtp.expect("220 ")
        assert "STARTTLS" in smtp.say("EHLO mx.stranger.test").expect("250 ")

        smtp.say("MAIL FROM:<someone@stranger.test>").expect(
            "530 5.7.0 Must issue a STARTTLS command first"
        )


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(
    ("version", "taken"), [(ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)]
)
def test_accepts_tls_1_2_from_servers(relay: Relay, version: ssl.TLSVersion, taken: bool) -> None:
    """Servers are updated more slowly than clients, but older versions are broken (RFC 8996)."""
    with Dialogue.connect(relay.address, 25) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO mx.stranger.test").expect("250 ")
        smtp.say("STARTTLS").expect("220 ")
        if taken:
            smtp.secure(insecure(versions=(version, version)))
            smtp.say("EHLO mx.stranger.test").expect("250 ")
        else:
            with pytest.raises(ssl.SSLError):
                smtp.secure(insecure(versions=(version, version)))


def test_offers_no_login(relay: Relay) -> None:
    """Clients use other ports; here passwords would only be guessed."""
    with port_25(relay) as session:
        session.ehlo()

        assert not session.has_extn("auth")
        assert session.docmd("AUTH", "PLAIN AGEAYg==")[0] in (502, 503)


@pytest.mark.parametrize("length", [998, 999, 5_000, 70_000])
def test_a_line_of_any_length_arrives_whole(bob: Person, stranger: Stranger, length: int) -> None:
    """A newsletter is often one line of HTML, which was damaged when it was broken."""
    html = "<p>" + "newsletter " * (length // 11 + 1)
    message = messages.compose(
        stranger.address(),
        bob.address,
        f"first\n{html[:length]}\nlast\n",
        content_type="text/html; charset=utf-8",
    )
    stranger.deliver(bob.relay, message, bob.address)

    assert messages.body(bob.wait_for(message)) == messages.body(message)


def test_accepts_mail_signed_by_the_authors_domain(bob: Person, stranger: Stranger) -> None:
    """A valid signature of exactly the domain in From is enough, whatever the envelope."""
    first = messages.encrypted(stranger.address(), bob.address)
    second = messages.encrypted(stranger.address(), bob.address)
    stranger.deliver(bob.relay, first, bob.address)
    stranger.deliver(bob.relay, second, bob.address, sender="bounces@lists.elsewhere.test")

    bob.wait_for(first)
    bob.wait_for(second)


def test_refuses_unsigned_mail(bob: Person, stranger: Stranger) -> None:
    """Without a signature, anyone could have written it."""
    message = messages.encrypted(stranger.address(), bob.address)

    assert refused(bob.relay, message, stranger.address(), bob.address) == NO_SIGNATURE


@pytest.mark.parametrize(
    ("changed", "into"),
    [
        (b"Subject: [...]", b"Subject: other"),
        (b"-----END PGP MESSAGE-----", b"-----END PGP MESSAGE-----\r\nmore"),
        (b"From: <", b"From: Somebody <"),
        (b"; s=mail;", b"; s=unknown;"),
    ],
)
def test_refuses_mail_that_was_changed_after_signing(
    bob: Person, stranger: Stranger, changed: bytes, into: bytes
) -> None:
    """An invalid signature is worth no more than none."""
    message = stranger.signed(messages.encrypted(stranger.address(), bob.address))
    altered = message.replace(changed, into, 1)
    assert altered != message

    assert refused(bob.relay, altered, stranger.address(), bob.address) == NO_VALID_SIGNATURE


def test_refuses_the_signature_of_another_domain(bob: Person, stranger: Stranger, lab: Lab) -> None:
    """Anyone can sign for their own domain; this proves nothing about the visible address."""
    other = Stranger.at(lab.dns, "other.test")
    message = other.signed(messages.encrypted(stranger.address(), bob.address))

    assert refused(bob.relay, message, other.address(), bob.address) == NO_VALID_SIGNATURE


def test_refuses_the_signature_of_a_parent_domain(bob: Person, stranger: Stranger) -> None:
    """Alignment is strict, because a parent domain may be shared by strangers."""
    message = messages.encrypted(f"someone@mail.{stranger.domain}", bob.address)

    assert (
        refused(bob.relay, stranger.signed(message), stranger.address(), bob.address)
        == NO_VALID_SIGNATURE
    )


def test_refuses_a_signature_without_a_published_key(bob: Person, stranger: Stranger) -> None:
    """Only the key in the DNS proves anything."""
    message = messages.encrypted("someone@unheard-of.test", bob.address)
    signed = stranger.signed(message, domain="unheard-of.test")

    assert refused(bob.relay, signed, stranger.address(), bob.address) == NO_VALID_SIGNATURE


def test_refuses_a_foreign_key(bob: Person, stranger: Stranger, lab: Lab) -> None:
    """A signature is verified with the key of the domain that it claims."""
    other = Stranger.at(lab.dns, "victim.test")
    message = messages.encrypted(other.address(), bob.address)
    signed = stranger.signed(message, domain=other.domain)

    assert refused(bob.relay, signed, stranger.address(), bob.address) == NO_VALID_SIGNATURE


def test_one_valid_signature_among_others_is_enough(
    bob: Person, stranger: Stranger, lab: Lab
) -> None:
    """Mail that passed a mailing service has its signature too."""
    other = Stranger.at(lab.dns, "service.test")
    message = messages.encrypted(stranger.address(), bob.address)
    deliver(bob.relay, other.signed(stranger.signed(message)), other.address(), bob.address)

    bob.wait_for(message)


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("From: <someone@stranger.test>, <other@stranger.test>", b"Invalid FROM header: "),
        ("X-Nothing: here", b"Invalid FROM header: "),
        ("From: <someone@[192.0.2.99]>", b"Invalid FROM domain literal: 192.0.2.99 does not match"),
    ],
)
def test_refuses_an_ambiguous_author(
    bob: Person, stranger: Stranger, field: str, wanted: bytes
) -> None:
    """A From field with several addresses, or with another host's IP address, proves no author."""
    message = messages.encrypted(stranger.address(), bob.address)
    changed = message.replace(f"From: <{stranger.address()}>".encode(), field.encode())

    code, text = refused(bob.relay, changed, stranger.address(), bob.address)

    assert code == 500
    assert text.startswith(wanted)


def test_accepts_an_address_literal_from_that_address(bob: Person) -> None:
    """A relay without a domain is identified by its IP address."""
    with port_25(bob.relay, source="192.0.2.103") as session:
        message = messages.encrypted("someone@[192.0.2.103]", bob.address)
        session.sendmail("someone@[192.0.2.103]", [bob.address], message)

    bob.wait_for(message)


@pytest.mark.parametrize("envelope", ["{alice}", "{bob}", "webmaster@{domain}"])
def test_strangers_cannot_use_the_relays_envelope_addresses(
    bob: Person, alice: Person, stranger: Stranger, envelope: str
) -> None:
    """Otherwise bounces could be directed at its users."""
    sender = envelope.format(alice=alice.address, bob=bob.address, domain=bob.relay.domain)
    message = stranger.signed(messages.encrypted(stranger.address(), bob.address))

    with pytest.raises(smtplib.SMTPRecipientsRefused) as error:
        deliver(bob.relay, message, sender, bob.address)

    code, text = error.value.recipients[bob.address]
    assert code == 553
    assert b"Sender address rejected: not logged in" in text


def test_a_forged_author_of_the_relay_is_refused(
    bob: Person, alice: Person, stranger: Stranger
) -> None:
    """No one outside may write as a user of the relay, with or without a signature."""
    message = messages.encrypted(alice.address, bob.address)
    own = stranger.signed(message)
    claimed = stranger.signed(message, domain=bob.relay.domain)

    assert refused(bob.relay, message, stranger.address(), bob.address) == NO_SIGNATURE
    assert refused(bob.relay, own, stranger.address(), bob.address) == NO_VALID_SIGNATURE
    assert refused(bob.relay, claimed, stranger.address(), bob.address) == NO_VALID_SIGNATURE


def test_the_size_limit_applies_to_servers_too(bob: Person, stranger: Stranger) -> None:
    """A server that announces the size is refused at MAIL FROM."""
    with port_25(bob.relay) as session:
        session.ehlo()
        code, text = session.mail(stranger.address(), [f"SIZE={messages.MAX_SIZE + 1}"])

    assert (code, text) == (552, b"5.3.4 Message size exceeds fixed limit")


def test_eight_bit_mail_and_lone_dots_arrive_unchanged(bob: Person, stranger: Stranger) -> None:
    """Newsletters are written in all languages, and a line with a single dot is text."""
    text = "Grüße\n.\n..\n你好\n"
    message = messages.compose(stranger.address(), bob.address, text, subject="Grüße")
    stranger.deliver(bob.relay, message, bob.address)

    assert messages.body(bob.wait_for(message)) == messages.crlf(text)


def test_mail_to_an_unknown_address_is_bounced(alice: Person) -> None:
    """People read its text, programs the report, and other servers its signature."""
    nobody, _ = alice.relay.credentials()
    alice.send(messages.encrypted(alice.address, nobody), nobody)

    bounce = alice.wait_for_any()

    assert re.search(rf"MAILER-DAEMON@{alice.relay.domain}\b", messages.header(bounce, "From")[0])
    assert messages.header(bounce, "To") == [alice.address]
    assert messages.header(bounce, "Auto-Submitted") == ["auto-replied"]
    assert messages.header(bounce, "Content-Type")[0].startswith("multipart/report;")
    assert messages.header(bounce, "Return-Path") == ["<>"]
    text = messages.body(bounce).decode().lower()
    assert "undelivered" in messages.header(bounce, "Subject")[0].lower()
    assert "could not\r\nbe delivered" in text
    assert nobody in text


def test_what_the_relay_sends_verifies_with_its_published_key(
    public_relay: Relay, classic: MailServer
) -> None:
    """Other servers accept nothing without a signature."""
    alice, bob = Person.on(public_relay), Person.on(public_relay)
    there = f"someone@{classic.domain}"
    message = messages.encrypted(alice.address, there)
    alice.send(message, there, bob.address)

    stored = classic.wait_for(messages.id_of(message))
    assert len(messages.header(stored, "DKIM-Signature")) == 1
    assert f"d={public_relay.domain};" in messages.header(stored, "DKIM-Signature")[0]
    assert dkim.verify(stored, dnsfunc=txt_record)
    assert not messages.header(bob.wait_for(message), "DKIM-Signature")


def test_a_stranger_gets_no_bounce_for_mail_that_was_refused(
    bob: Person, stranger: Stranger
) -> None:
    """After a refusal during SMTP, the other server informs its user."""
    relay = bob.relay
    message = messages.encrypted(stranger.address(), bob.address)
    refused(relay, message, "victim@elsewhere.test", bob.address)

    assert "victim@elsewhere.test" not in relay.machine.run(["postqueue", "-j"]).out
