"""Mail between relays without a domain, at IP addresses, and all other servers."""

from __future__ import annotations

import smtplib
import socket
from typing import TYPE_CHECKING

import pytest
from deltachat_rpc_client import EventType

from harness.deltachat import await_event, await_message
from harness.stranger import MailServer
from people import messages
from people.dialogue import SECONDS, Dialogue
from people.outgoing import deferred, empty_queue
from people.people import Person
from people.strangers import Stranger, deliver, port_25

if TYPE_CHECKING:
    from harness.deltachat import Core
    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)

HERE, THERE, OTHER = "192.0.2.60", "192.0.2.61", "192.0.2.79"


@pytest.fixture(scope="module")
def here(lab: Lab) -> Relay:
    """A relay whose `domain` is an address."""
    return lab.relay(HERE)


@pytest.fixture(scope="module")
def there(lab: Lab) -> Relay:
    """Another one."""
    return lab.relay(THERE)


@pytest.fixture
def alice(here: Relay) -> Person:
    """A user whose address contains an IP address in brackets."""
    return Person.on(here)


@pytest.fixture
def bob(near: Relay) -> Person:
    """A user of a relay with a domain."""
    return Person.on(near)


@pytest.mark.parametrize(
    ("inviting", "joining"),
    [
        ("here", "there"),
        ("here", "near"),
        ("near", "here"),
        ("here", "third"),
        ("third", "here"),
        ("third", "relay"),
        ("third", "near"),
    ],
)
def test_users_meet_by_an_invite_and_talk(
    core: Core, request: pytest.FixtureRequest, inviting: str, joining: str
) -> None:
    """They use Securejoin and write an encrypted message each way, with both kinds of address."""
    alice = core.account(request.getfixturevalue(inviting), "Alice")
    bob = core.account(request.getfixturevalue(joining), "Bob")
    bob.secure_join(alice.get_qr_code())
    await_event(alice, EventType.SECUREJOIN_INVITER_PROGRESS, lambda event: event.progress == 1000)
    await_event(bob, EventType.SECUREJOIN_JOINER_PROGRESS, lambda event: event.progress == 1000)

    bob.create_chat(alice).send_text("Hello")
    received = await_message(alice, "Hello").get_snapshot()
    assert received.show_padlock
    received.chat.accept()
    received.chat.send_text("Hello back")
    assert await_message(bob, "Hello back").get_snapshot().show_padlock


def test_what_a_classic_server_sees(alice: Person, classic: MailServer) -> None:
    """It sees the IP address as the name (RFC 5321 4.1.3) and no signature; its answer arrives."""
    there = f"someone@{classic.domain}"
    message = messages.encrypted(alice.address, there)
    alice.send(message, there)

    seen = classic.wait_for(messages.id_of(message))
    assert messages.header(seen, "Received")[0].startswith(f"from [{HERE}] (unknown [{HERE}])")
    assert messages.header(seen, "Return-Path") == [f"<{alice.address}>"]
    assert not messages.header(seen, "DKIM-Signature")

    answer = messages.cleartext(there, alice.address)
    classic.send(answer, there, alice.address)
    alice.wait_for(answer)


def test_the_greeting_contains_the_ip_address(here: Relay) -> None:
    """The relay does not make up a name."""
    with Dialogue.connect(here.address, 25) as smtp:
        assert smtp.reply().startswith(f"220 [{HERE}] ESMTP")


def test_mail_never_leaves_by_ipv6(here: Relay, alice: Person, bob: Person) -> None:
    """Postfix chose between IPv4 and IPv6 by chance, so half of the mail was refused as forged."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((here.address6, 25), timeout=SECONDS).close()
    run = here.machine.run
    # Prefer IPv6, if there is a choice; without a connection left open by an earlier message.
    run(["postconf", "-e", "smtp_address_preference=ipv6", "smtp_connection_cache_destinations="])
    run(["systemctl", "restart", "postfix"])
    here.wait_ready()
    try:
        message = messages.encrypted(alice.address, bob.address)
        alice.send(message, bob.address)
        bob.wait_for(message)
    finally:
        run(["postconf", "-e", "smtp_address_preference=any"])
        run(["postconf", "-e", "smtp_connection_cache_destinations=static:all"])
        run(["systemctl", "restart", "postfix"])
        here.wait_ready()


def test_a_host_with_two_addresses_sends_from_the_right_one(
    here: Relay, alice: Person, bob: Person
) -> None:
    """The kernel would choose the other address, and the mail would count as forged."""
    run = here.machine.run
    run(["ip", "address", "add", f"{OTHER}/24", "dev", "eth0"])
    run(["ip", "route", "replace", "192.0.2.0/24", "dev", "eth0", "src", OTHER])
    try:
        chosen = run(["ip", "route", "get", bob.relay.address]).out
        assert f"src {OTHER}" in chosen
        run(["systemctl", "restart", "postfix"])
        here.wait_ready()
        message = messages.encrypted(alice.address, bob.address)
        alice.send(message, bob.address)
        bob.wait_for(message)
    finally:
        run(["ip", "route", "replace", "192.0.2.0/24", "dev", "eth0", "src", HERE])
        run(["ip", "address", "delete", f"{OTHER}/24", "dev", "eth0"])


@pytest.mark.parametrize("receiving", ["here", "near", "relay"])
def test_a_forged_address_is_refused(
    lab: Lab, request: pytest.FixtureRequest, receiving: str
) -> None:
    """Without a signature, the mail must come from the IP address itself."""
    victim = Person.on(request.getfixturevalue(receiving))
    forged = messages.encrypted(f"someone@[{THERE}]", victim.address)
    for sender in (f"someone@[{THERE}]", f"someone@[{lab.clients.address}]", ""):
        with pytest.raises(smtplib.SMTPDataError) as refused:
            deliver(victim.relay, forged, sender, victim.address)

        assert refused.value.smtp_code == 500
        assert refused.value.smtp_error == (
            f"Invalid FROM domain literal: {THERE}"
            f" does not match origin IP {lab.clients.address}".encode()
        )
    honest = messages.encrypted(f"someone@[{lab.clients.address}]", victim.address)
    deliver(victim.relay, honest, f"someone@[{lab.clients.address}]", victim.address)
    victim.wait_for(honest)


def test_a_signature_does_not_prove_an_ip_address(
    here: Relay, alice: Person, stranger: Stranger
) -> None:
    """A domain's signature proves nothing about an IP address."""
    forged = messages.encrypted(f"someone@[{THERE}]", alice.address)
    with pytest.raises(smtplib.SMTPDataError, match="Invalid FROM domain literal"):
        stranger.deliver(here, forged, alice.address)


def test_outsiders_cannot_send_as_our_users(here: Relay, alice: Person) -> None:
    """Neither the envelope sender nor the relay's own IP address makes a difference."""
    with port_25(here) as session:
        session.ehlo()
        code, text = session.mail(alice.address)
        if code == 250:
            code, text = session.rcpt(alice.address)
    assert (code, text.endswith(b"not logged in")) == (553, True)


def test_it_relays_nothing_for_strangers(here: Relay) -> None:
    """Another IP address in brackets is as foreign as another domain."""
    with port_25(here) as session:
        session.ehlo()
        session.mail("someone@elsewhere.test")
        for recipient in (f"someone@[{THERE}]", "someone@near.test"):
            assert session.rcpt(recipient)[0] == 554, recipient
        # RFC 5321 4.1.2: an IP address without brackets is not a domain.
        assert session.rcpt(f"someone@{HERE}")[0] == 501


@pytest.mark.parametrize(
    ("sending", "receiving"),
    [("near", "here"), ("here", "near"), ("here", "there"), ("here", "here")],
)
def test_mail_to_an_unknown_name_is_bounced(
    request: pytest.FixtureRequest, sending: str, receiving: str
) -> None:
    """The bounce comes from the recipient's relay, and is accepted."""
    sender = Person.on(request.getfixturevalue(sending))
    other: Relay = request.getfixturevalue(receiving)
    nobody, _ = other.credentials()
    message = messages.encrypted(sender.address, nobody)
    sender.send(message, nobody)

    bounce = sender.wait_for_any(seconds=40)

    assert messages.header(bounce, "From") == [
        f"Mail Delivery System <MAILER-DAEMON@{other.mail_domain}>"
    ]
    assert messages.header(bounce, "To") == [sender.address]
    assert messages.header(bounce, "Return-Path") == ["<>"]
    assert messages.header(bounce, "Content-Type")[0].startswith("multipart/report;")
    assert nobody in messages.body(bounce).decode()
    assert messages.id_of(message) in messages.body(bounce).decode()


def test_a_server_at_an_ip_address_needs_tls(lab: Lab, bob: Person) -> None:
    """Any certificate will do, but there must be one."""
    plain = MailServer.up(lab, "plain.test", certificate="none")
    recipient = f"someone@[{plain.machine.address}]"
    bob.send(messages.encrypted(bob.address, recipient), recipient)

    assert "TLS is required, but was not offered" in deferred(bob.relay, recipient)
    empty_queue(bob.relay)
    lab.stop(plain.machine)
