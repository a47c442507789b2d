"""What may leave and what may come in: every kind of message in both directions."""

from __future__ import annotations

import json
import smtplib
from typing import TYPE_CHECKING

import pytest

from people import fakes, handshakes, messages, openpgp
from people.people import Person

if TYPE_CHECKING:
    from harness.relay import Relay
    from people.messages import Builder
    from people.strangers import Stranger

NOT_ENCRYPTED = (523, b"Encryption Needed: Invalid Unencrypted Mail")


@pytest.fixture(scope="module")
def strict_bob(strict_relay: Relay) -> Person:
    """Somebody on the relay that wants no cleartext from outside."""
    return Person.on(strict_relay)


def named(builder: Builder) -> str:
    """Name a case by what it builds."""
    return builder.__name__


@pytest.mark.parametrize("build", [*messages.ENCRYPTED, *handshakes.JOINS], ids=named)
def test_sends(alice: Person, bob: Person, build: Builder) -> None:
    """What nobody on the way can read, and the handshakes that come before there is a key."""
    message = build(alice.address, bob.address)
    alice.send(message, bob.address)

    assert messages.body(bob.wait_for(message)) == messages.body(message)


@pytest.mark.parametrize(
    "build",
    [messages.cleartext, messages.version_header, *fakes.FAKES, *handshakes.ABUSED_JOINS],
    ids=named,
)
def test_does_not_send(alice: Person, bob: Person, build: Builder) -> None:
    """What anybody on the way could read, however it is dressed, would be a way for spam."""
    with pytest.raises(smtplib.SMTPDataError) as refused:
        alice.send(build(alice.address, bob.address), bob.address)

    assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED
    sentinel = messages.encrypted(alice.address, bob.address)
    alice.send(sentinel, bob.address)
    assert bob.inbox_after(sentinel) == []


@pytest.mark.parametrize("build", [messages.cleartext, fakes.literal_packet], ids=named)
def test_does_not_send_to_other_servers_either(alice: Person, build: Builder) -> None:
    """Where a message goes makes no difference, and a refused one is not in the queue."""
    with pytest.raises(smtplib.SMTPDataError) as refused:
        alice.send(build(alice.address, "someone@stranger.test"), "someone@stranger.test")

    assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED


def test_a_setup_message_goes_to_oneself_and_to_nobody_else(alice: Person, bob: Person) -> None:
    """It is half readable, and meant for one's other devices only."""
    own = handshakes.setup_message(alice.address, alice.address)
    other = handshakes.setup_message(alice.address, bob.address)
    alice.send(own, alice.address)

    for recipients in ([bob.address], [alice.address, bob.address], [alice.address, alice.address]):
        with pytest.raises(smtplib.SMTPDataError) as refused:
            alice.send(other, *recipients)
        assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED

    assert messages.body(alice.wait_for(own)) == messages.body(own)
    sentinel = messages.encrypted(alice.address, bob.address)
    alice.send(sentinel, bob.address)
    assert bob.inbox_after(sentinel) == []


@pytest.mark.parametrize(
    "subject", ["Autocrypt Setup", "autocrypt setup message", "Re: Autocrypt Setup Message"]
)
def test_only_a_setup_message_is_one(alice: Person, subject: str) -> None:
    """Notes to oneself are encrypted like all others."""
    message = handshakes.setup_message(alice.address, alice.address)
    changed = message.replace(b"Subject: Autocrypt Setup Message", f"Subject: {subject}".encode())

    with pytest.raises(smtplib.SMTPDataError) as refused:
        alice.send(changed, alice.address)

    assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED


@pytest.mark.parametrize(
    "build", [handshakes.report, handshakes.report_without_auto_submitted], ids=named
)
def test_does_not_send_reports(alice: Person, bob: Person, build: Builder) -> None:
    """Mail servers make bounces, and a person's would be cleartext under a false name."""
    with pytest.raises(smtplib.SMTPDataError) as refused:
        alice.send(build(alice.address, bob.address), bob.address)
    daemon = f"mailer-daemon@{alice.relay.domain}"
    with pytest.raises(smtplib.SMTPDataError) as forged:
        alice.send(build(daemon, bob.address), bob.address)

    assert refused.value.smtp_code == 523
    assert forged.value.smtp_code == 500


def test_what_arrives_can_be_decrypted(alice: Person, bob: Person) -> None:
    """The proof that nothing on the way touched the ciphertext."""
    text = "Grüße 你好 " * 100
    message = messages.encrypted(alice.address, bob.address, text)
    alice.send(message, bob.address)

    arrived = bob.wait_for(message).decode()
    armor = arrived[arrived.index("-----BEGIN PGP") : arrived.index("-----END PGP")]

    assert text in openpgp.decrypt(armor.replace("\r\n", "\n"), bob.address)


@pytest.mark.parametrize(
    "build",
    [*messages.ENCRYPTED, *handshakes.JOINS, messages.version_header, handshakes.report],
    ids=named,
)
def test_a_strict_relay_takes_in(strict_bob: Person, stranger: Stranger, build: Builder) -> None:
    """What chat clients send, other programs' harmless habits, and news of undelivered mail."""
    author = stranger.address("mailer-daemon" if build is handshakes.report else "someone")
    message = build(author, strict_bob.address)
    envelope = "" if build is handshakes.report else author
    stranger.deliver(strict_bob.relay, message, strict_bob.address, sender=envelope)

    assert messages.body(strict_bob.wait_for(message)) == messages.body(message)


@pytest.mark.parametrize(
    "build",
    [
        messages.cleartext,
        handshakes.setup_message,
        handshakes.report_without_auto_submitted,
        handshakes.mixed_instead_of_report,
        # Two Content-Type fields are no valid signature either, and that is looked at first.
        *(build for build in fakes.FAKES if build is not fakes.two_content_types),
        *handshakes.ABUSED_JOINS,
    ],
    ids=named,
)
def test_a_strict_relay_does_not_take_in(
    strict_relay: Relay, stranger: Stranger, build: Builder
) -> None:
    """Its people are to see no message that others could have read."""
    bob = Person.on(strict_relay)
    author = stranger.address("mailer-daemon" if "report" in build.__name__ else "someone")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        stranger.deliver(strict_relay, build(author, bob.address), bob.address)

    assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED
    sentinel = messages.encrypted(stranger.address(), bob.address)
    stranger.deliver(strict_relay, sentinel, bob.address)
    assert bob.inbox_after(sentinel) == []


def test_a_report_is_the_mail_systems_own(strict_relay: Relay, stranger: Stranger) -> None:
    """The exception for bounces is no way in for people."""
    bob = Person.on(strict_relay)

    with pytest.raises(smtplib.SMTPDataError) as refused:
        stranger.deliver(
            strict_relay, handshakes.report(stranger.address(), bob.address), bob.address
        )

    assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED


@pytest.mark.parametrize(
    "build",
    [
        messages.encrypted,
        handshakes.vc_request,
        messages.cleartext,
        handshakes.setup_message,
        handshakes.report,
        fakes.literal_packet,
        fakes.third_part,
    ],
    ids=named,
)
def test_a_relay_with_default_settings_takes_in(
    bob: Person, stranger: Stranger, build: Builder
) -> None:
    """Newsletters and sign-up mails arrive at a throw-away address, authenticated and unchanged."""
    message = build(stranger.address("mailer-daemon"), bob.address)
    stranger.deliver(bob.relay, message, bob.address)

    arrived = bob.wait_for(message)

    assert messages.body(arrived) == messages.body(message)
    assert messages.header(arrived, "Subject") == messages.header(message, "Subject")


@pytest.mark.parametrize("strict", [False, True], ids=["open-relay", "strict-relay"])
def test_the_operator_chooses_for_one_account(
    relay: Relay, strict_relay: Relay, stranger: Stranger, *, strict: bool
) -> None:
    """Somebody is flooded with newsletters; somebody else needs the sign-up mails."""
    here = strict_relay if strict else relay
    alice, bob = Person.on(here), Person.on(here)
    author = stranger.address()
    said = here.chatmail("accounts", "cleartext", alice.address, "allow" if strict else "refuse")
    assert alice.address in said.out
    readers, spared = ([alice], bob) if strict else ([bob], alice)

    for reader in readers:
        message = messages.cleartext(author, reader.address)
        stranger.deliver(here, message, reader.address)
        reader.wait_for(message)
    for recipients in ((spared.address,), (readers[0].address, spared.address)):
        with pytest.raises(smtplib.SMTPDataError) as refused:
            stranger.deliver(here, messages.cleartext(author, spared.address), *recipients)
        assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED
    encrypted = messages.encrypted(author, spared.address)
    stranger.deliver(here, encrypted, spared.address)
    spared.wait_for(encrypted)

    here.chatmail("accounts", "cleartext", alice.address, "default")
    shown = json.loads(here.chatmail("accounts", "show", "--json", alice.address).out)
    assert shown["cleartext"] is None
    message = messages.cleartext(author, alice.address)
    if strict:
        with pytest.raises(smtplib.SMTPDataError):
            stranger.deliver(here, message, alice.address)
    else:
        stranger.deliver(here, message, alice.address)
        alice.wait_for(message)
