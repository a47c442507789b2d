"""Outgoing mail is sent only over TLS verified by DANE, MTA-STS or the certificate's name."""

from __future__ import annotations

import contextlib
import smtplib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness.archive import File
from harness.process import wait_until
from harness.stranger import Certificate, MailServer, self_signed
from people import messages
from people.outgoing import deferred, empty_queue, hurry, level, reasons, send
from people.people import Person

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.machine import Machine
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def sender(lab: Lab) -> Relay:
    """A relay with a publicly trusted certificate."""
    return lab.relay("sender.test")


@pytest.fixture
def alice(sender: Relay) -> Person:
    """A user who sends mail."""
    return Person.on(sender)


@pytest.fixture(scope="module")
def hurried(lab: Lab) -> Relay:
    """A relay with seconds instead of hours; everything else is as shipped."""
    relay = lab.relay("hurried.test")
    hurry(relay)
    return relay


@dataclass(frozen=True)
class Waiting:
    """A message that cannot be delivered, and its author."""

    writer: Person
    stranger: MailServer
    recipient: str
    message_id: str


WHY: dict[Certificate, str] = {
    "expired": "Server certificate not verified",
    "self-signed": "Server certificate not verified",
    "misnamed": "Server certificate not verified",
    "none": "TLS is required, but was not offered",
}


@pytest.fixture(scope="module")
def waiting(lab: Lab, hurried: Relay) -> dict[Certificate, Waiting]:
    """A message to each server without a valid certificate; they all wait at the same time."""
    every: dict[Certificate, Waiting] = {}
    for certificate in WHY:
        stranger = MailServer.up(lab, f"{certificate}.test", certificate=certificate)
        writer, recipient = Person.on(hurried), f"someone@{stranger.domain}"
        every[certificate] = Waiting(writer, stranger, recipient, send(writer, recipient))
        assert deferred(hurried, recipient)
    return every


@pytest.mark.parametrize("certificate", WHY)
def test_a_server_without_a_valid_certificate_gets_nothing(
    hurried: Relay, waiting: dict[Certificate, Waiting], certificate: Certificate
) -> None:
    """Its mail waits. The sender gets a delay notice, and in the end a bounce with the reason."""
    one = waiting[certificate]
    wait_until(
        lambda: len(one.writer.inbox()) == 2, "a notice of delay and a bounce", timeout=60, step=0.5
    )
    delay, bounce = one.writer.inbox()

    assert messages.header(delay, "Subject") == ["Delayed Mail (still being retried)"]
    assert messages.header(bounce, "Subject") == ["Undelivered Mail Returned to Sender"]
    for notice in (delay, bounce):
        assert messages.header(notice, "Content-Type")[0].startswith("multipart/report")
        text = messages.body(notice).decode()
        assert one.recipient in text
        assert one.message_id in text
        assert WHY[certificate] in " ".join(text.split())
    assert one.stranger.received() == []
    assert one.recipient not in reasons(hurried)


def test_a_server_with_a_valid_certificate_gets_its_mail(
    lab: Lab, alice: Person, sender: Relay
) -> None:
    """The certificate must at least contain the name of the mail server."""
    stranger = MailServer.up(lab, "valid.test")
    assert level(sender, stranger.domain) == ""
    stranger.wait_for(send(alice, f"someone@{stranger.domain}"))


def trust(relay: Relay, *zones: str) -> None:
    """Let the relay's resolver validate these zones, as it validates the Internet from the root."""
    anchors = "".join(f'  trust-anchor: "{relay.dns.trust_anchor(zone)}"\n' for zone in zones)
    text = relay.value.files["/etc/unbound/unbound.conf"].text
    relay.machine.unpack({"/etc/unbound/unbound.conf": File(f"{text!s}server:\n{anchors}")})
    relay.machine.run(["systemctl", "restart", "unbound"])
    relay.machine.wait_for_port(53, address="127.0.0.1")


def tlsa(machine: Machine, certificate: str) -> str:
    """Return the `3 1 1` data of a certificate (RFC 6698), computed by OpenSSL."""
    command = "openssl x509 -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum"
    return f"3 1 1 {machine.run(command, input=certificate).out.split()[0]}"


def test_dane_accepts_only_the_key_in_a_signed_zone(lab: Lab, alice: Person, sender: Relay) -> None:
    """With DNSSEC a self-signed certificate is accepted, and any other is refused."""
    domain = "dane.test"
    stranger = MailServer.up(lab, domain, certificate="self-signed")
    chain = stranger.machine.read("/etc/postfix/chain.pem")
    records = [("@", "MX", f"10 mx.{domain}."), ("mx", "A", stranger.machine.address)]
    right = ("_25._tcp.mx", "TLSA", tlsa(stranger.machine, chain))
    lab.dns.publish(domain, [*records, right], signed=True)
    trust(sender, domain)
    assert level(sender, domain) == "dane-only"
    stranger.wait_for(send(alice, f"someone@{domain}"))

    good, key = lab.ca.certificate(f"mx.{domain}")
    stranger.machine.unpack(
        {"/etc/postfix/chain.pem": File(good), "/etc/postfix/key.pem": File(key, mode="0600")}
    )
    stranger.machine.run(["systemctl", "restart", "postfix"])
    recipient = f"other@{domain}"
    send(alice, recipient)
    assert "Server certificate not" in deferred(sender, recipient)
    empty_queue(sender)

    lab.dns.publish(
        domain, [*records, ("_25._tcp.mx", "TLSA", tlsa(stranger.machine, good))], signed=True
    )
    # Postfix avoids the destination for half a minute after a failure; a new queue manager does
    # not.
    sender.machine.run(["systemctl", "restart", "postfix"])
    sender.wait_ready()
    stranger.wait_for(send(alice, f"third@{domain}"), seconds=60)


def test_relays_use_each_others_policy_and_key(lab: Lab, alice: Person, sender: Relay) -> None:
    """A relay's records work for another relay: MTA-STS, and DANE if the zone is signed."""
    other = lab.relay("policy.test")
    bob = Person.on(other)
    assert level(sender, other.domain) == f"secure match={other.domain} servername=hostname"
    bob.wait_for(send(alice, bob.address))

    lab.dns.publish_zone_text(other.domain, other.chatmail("dns").out, signed=True)
    trust(sender, other.domain)
    assert level(sender, other.domain) == "dane-only"
    bob.wait_for(send(alice, bob.address))

    # A renewed certificate with the same key matches the record.
    paths = other.value.daemons["paths"]
    key = other.machine.read(paths["certificateKey"])
    renewed, _ = lab.ca.certificate(other.domain, key=key)
    other.machine.write(paths["certificate"], renewed)
    other.machine.run(["systemctl", "restart", "postfix"])
    other.wait_ready()
    bob.wait_for(send(alice, bob.address))

    # Another key does not match.
    chain, new_key = self_signed(other.domain)
    other.machine.write(paths["certificate"], chain)
    other.machine.write(paths["certificateKey"], new_key, mode="0600")
    other.machine.run(["systemctl", "restart", "postfix"])
    other.wait_ready()
    send(alice, bob.address)
    assert "Server certificate not" in deferred(sender, bob.address)
    empty_queue(sender)


def test_mail_waits_while_chatmail_tls_is_down(lab: Lab, alice: Person, sender: Relay) -> None:
    """
    A missing daemon must not weaken DANE; mail that needs no query is delivered.

    What was accepted before waits in the queue. What comes now waits there too, or in the client,
    which sends it again after a 451: Postfix may still remember where the recipient's mail goes.
    """
    own = Person.on(sender)
    stranger = MailServer.up(lab, "valid.test")
    recipient = f"someone@{stranger.domain}"
    stranger.machine.run(["systemctl", "stop", "postfix"])
    before = send(alice, recipient)
    deferred(sender, recipient)
    sender.machine.run(["systemctl", "stop", "chatmail-tls.socket", "chatmail-tls.service"])
    try:
        stranger.machine.run(["systemctl", "start", "postfix"])
        sender.machine.run(["postqueue", "-f"])
        wait_until(
            lambda: "resolver" in reasons(sender)[recipient],
            "it waits for chatmail-tls",
            timeout=60,
        )
        with contextlib.suppress(smtplib.SMTPRecipientsRefused):
            send(alice, recipient)
        own.wait_for(send(alice, own.address))
        arrived = stranger.received()
        assert not any(before.encode() in text for text in arrived)
    finally:
        sender.machine.run(["systemctl", "start", "chatmail-tls.socket"])
    sender.machine.run(["postqueue", "-f"])
    stranger.wait_for(before, seconds=60)
