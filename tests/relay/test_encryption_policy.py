"""Which messages may leave and which may come in, in both directions."""

from __future__ import annotations

import json
import smtplib
from typing import TYPE_CHECKING

import pytest

from people import fakes, handshakes, messages, openpgp, rebuilt
from people.people import Person

if TYPE_CHECKING:
    from harness.relay import Relay
    from people.messages import Builder
    from people.strangers import Stranger

NOT_ENCRYPTED = (523, b"Encryption Needed: Invalid Unencrypted Mail")


@pytest.fixture(scope="module")
def strict_bob(strict_relay: Relay) -> Person:
    """A user of the relay that accepts no unencrypted mail from outside."""
    return Person.on(strict_relay)


def named(builder: Builder) -> str:
    """Return the name of the function that builds a case."""
    return builder.__name__


@pytest.mark.parametrize("build", [*messages.ENCRYPTED, *handshakes.JOINS], ids=named)
def test_sends(alice: Person, bob: Person, build: Builder) -> None:
    """Encrypted messages, and the handshakes that precede a key, are sent."""
    message = build(alice.address, bob.address)
    alice.send(message, bob.address)

    assert messages.body(bob.wait_for(message)) == messages.body(message)


@pytest.mark.parametrize("build", rebuilt.REBUILT, ids=named)
def test_rebuilds_encrypted_mail_of_other_programs(
    alice: Person, bob: Person, build: Builder
) -> None:
    """The packets arrive, and not a word of what stood around them."""
    message = build(alice.address, bob.address)
    alice.send(message, bob.address)

    arrived = bob.wait_for(message)
    assert_rebuilt(arrived, bob)


def test_the_relay_signs_what_it_rebuilt(alice: Person, strict_bob: Person) -> None:
    """Another relay verifies the signature, and finds no word for a stranger in the message."""
    message = rebuilt.everything_at_once(alice.address, strict_bob.address)
    alice.send(message, strict_bob.address)

    arrived = strict_bob.wait_for(message)
    assert_rebuilt(arrived, strict_bob)
    packets = openpgp.dearmored(rebuilt.armor_in(arrived))
    assert messages.PHRASE.encode() not in packets
    assert openpgp.packets(packets)[-1][0] == openpgp.ENCRYPTED


def assert_rebuilt(arrived: bytes, reader: Person) -> None:
    """Check that a message can be read by whom it is for, and that nothing else can be."""
    assert "hello" in openpgp.decrypt(rebuilt.armor_in(arrived), reader.address)
    words = messages.PHRASE.encode()
    assert words not in arrived
    assert words.replace(b" ", b"-") not in arrived
    (kind,) = messages.header(arrived, "Content-Type")
    assert messages.body(arrived).startswith(b"\r\n--" + kind.rpartition('="')[2][:-1].encode())
    assert max(map(len, arrived.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "build", [messages.cleartext, *fakes.FAKES, *handshakes.ABUSED_JOINS], ids=named
)
def test_refuses_to_send(alice: Person, bob: Person, build: Builder) -> None:
    """Readable mail, however it is disguised, would be a way to send spam."""
    with pytest.raises(smtplib.SMTPDataError) as refused:
        alice.send(build(alice.address, bob.address), bob.address)

    assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED
    sentinel = messages.encrypted(alice.address, bob.address)
    alice.send(sentinel, bob.address)
    assert bob.inbox_after(sentinel) == []


@pytest.mark.parametrize("build", [messages.cleartext, fakes.literal_packet], ids=named)
def test_refuses_to_send_to_other_servers_too(alice: Person, build: Builder) -> None:
    """The destination makes no difference, and a refused message is not in the queue."""
    with pytest.raises(smtplib.SMTPDataError) as refused:
        alice.send(build(alice.address, "someone@stranger.test"), "someone@stranger.test")

    assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED


def test_a_setup_message_can_only_be_sent_to_oneself(alice: Person, bob: Person) -> None:
    """It is partly readable, and meant only for the user's other devices."""
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
def test_only_setup_messages_are_exempt(alice: Person, subject: str) -> None:
    """Notes to oneself must be encrypted like all other messages."""
    message = handshakes.setup_message(alice.address, alice.address)
    changed = message.replace(b"Subject: Autocrypt Setup Message", f"Subject: {subject}".encode())

    with pytest.raises(smtplib.SMTPDataError) as refused:
        alice.send(changed, alice.address)

    assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED


@pytest.mark.parametrize(
    "build", [handshakes.report, handshakes.report_without_auto_submitted], ids=named
)
def test_refuses_to_send_reports(alice: Person, bob: Person, build: Builder) -> None:
    """Only mail servers send bounces; a user's would be cleartext under a false name."""
    with pytest.raises(smtplib.SMTPDataError) as refused:
        alice.send(build(alice.address, bob.address), bob.address)
    daemon = f"mailer-daemon@{alice.relay.domain}"
    with pytest.raises(smtplib.SMTPDataError) as forged:
        alice.send(build(daemon, bob.address), bob.address)

    assert refused.value.smtp_code == 523
    assert forged.value.smtp_code == 500


def test_what_arrives_can_be_decrypted(alice: Person, bob: Person) -> None:
    """Nothing has changed the ciphertext in transit."""
    text = "Grüße 你好 " * 100
    message = messages.encrypted(alice.address, bob.address, text)
    alice.send(message, bob.address)

    arrived = bob.wait_for(message).decode()
    armor = arrived[arrived.index("-----BEGIN PGP") : arrived.index("-----END PGP")]

    assert text in openpgp.decrypt(armor.replace("\r\n", "\n"), bob.address)


@pytest.mark.parametrize("build", rebuilt.REBUILT, ids=named)
def test_a_strict_relay_takes_in_what_others_write(
    strict_bob: Person, stranger: Stranger, build: Builder
) -> None:
    """Its users see only the message that was judged, without unencrypted text beside it."""
    message = build(stranger.address(), strict_bob.address)
    stranger.deliver(strict_bob.relay, message, strict_bob.address)

    assert_rebuilt(strict_bob.wait_for(message), strict_bob)


@pytest.mark.parametrize(
    "build", [*messages.ENCRYPTED, *handshakes.JOINS, handshakes.report], ids=named
)
def test_a_strict_relay_accepts(strict_bob: Person, stranger: Stranger, build: Builder) -> None:
    """It accepts messages of chat clients, and bounces."""
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
        # Two Content-Type fields also make the signature invalid, and that is checked first.
        *(build for build in fakes.FAKES if build is not fakes.two_content_types),
        *handshakes.ABUSED_JOINS,
    ],
    ids=named,
)
def test_a_strict_relay_refuses(strict_relay: Relay, stranger: Stranger, build: Builder) -> None:
    """Its users should get no message that others could have read."""
    bob = Person.on(strict_relay)
    author = stranger.address("mailer-daemon" if "report" in build.__name__ else "someone")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        stranger.deliver(strict_relay, build(author, bob.address), bob.address)

    assert (refused.value.smtp_code, refused.value.smtp_error) == NOT_ENCRYPTED
    sentinel = messages.encrypted(stranger.address(), bob.address)
    stranger.deliver(strict_relay, sentinel, bob.address)
    assert bob.inbox_after(sentinel) == []


def test_only_mail_systems_may_send_reports(strict_relay: Relay, stranger: Stranger) -> None:
    """The exception for bounces is not open to users."""
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
def test_a_relay_with_default_settings_accepts(
    bob: Person, stranger: Stranger, build: Builder
) -> None:
    """Newsletters and sign-up mail arrive at a throw-away address, authenticated and unchanged."""
    message = build(stranger.address("mailer-daemon"), bob.address)
    stranger.deliver(bob.relay, message, bob.address)

    arrived = bob.wait_for(message)

    assert messages.body(arrived) == messages.body(message)
    assert messages.header(arrived, "Subject") == messages.header(message, "Subject")


@pytest.mark.parametrize("strict", [False, True], ids=["open-relay", "strict-relay"])
def test_the_operator_chooses_for_one_account(
    relay: Relay, strict_relay: Relay, stranger: Stranger, *, strict: bool
) -> None:
    """One user is flooded with newsletters; another needs sign-up mail."""
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
