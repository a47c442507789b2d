"""Outgoing mail: over TLS that DANE, MTA-STS or the certificate's name verifies, or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from harness.archive import File
from harness.process import wait_until
from harness.stranger import Certificate, MailServer, self_signed

from relay import messages
from relay.people import Person

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.machine import Machine
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)

ASK = "socketmap:unix:/run/chatmail-tls/policy.sock:tls"
POLICY_SITE = """\
pid /run/nginx.pid;
events {{ }}
http {{ server {{
    listen 443 ssl;
    server_name mta-sts.{domain};
    ssl_certificate /etc/nginx/chain.pem;
    ssl_certificate_key /etc/nginx/key.pem;
    location = /.well-known/mta-sts.txt {{ default_type text/plain; root /srv; }}
}} }}
"""


@pytest.fixture(scope="module")
def sender(lab: Lab) -> Relay:
    """A relay with a certificate that everybody believes."""
    return lab.relay("sender.test")


@pytest.fixture
def alice(sender: Relay) -> Person:
    """Somebody who writes."""
    return Person.on(sender)


@pytest.fixture(scope="module")
def hurried(lab: Lab) -> Relay:
    """A relay with hours made seconds; everything else is as shipped."""
    relay = lab.relay("hurried.test")
    hurry(relay)
    return relay


def hurry(relay: Relay) -> None:
    """Have a relay give up after 15 s instead of two days, and retry every few seconds."""
    run = relay.machine.run
    run(["postconf", "-e", "queue_run_delay=2s", "minimal_backoff_time=3s"])
    run(["postconf", "-e", "maximal_backoff_time=3s", "delay_warning_time=5s"])
    run(["postconf", "-e", "maximal_queue_lifetime=15s", "bounce_queue_lifetime=15s"])
    run(["systemctl", "restart", "postfix"])
    relay.wait_ready()


def level(relay: Relay, domain: str) -> str:
    """Return what Postfix is told about a domain; "" is its default, `verify`."""
    return relay.machine.run(["postmap", "-q", domain, ASK], check=False).out.strip()


def reasons(relay: Relay) -> dict[str, str]:
    """Return why what waits in the queue waits: recipient -> reason."""
    lines = relay.machine.run(["postqueue", "-j"]).out.splitlines()
    return {
        one["address"]: one.get("delay_reason", "")
        for line in lines
        for one in json.loads(line)["recipients"]
    }


def send(person: Person, recipient: str) -> str:
    """Send an encrypted message; its id."""
    message = messages.encrypted(person.address, recipient)
    person.send(message, recipient)
    return messages.id_of(message)


def deferred(relay: Relay, recipient: str) -> str:
    """Wait until a message is put off; why."""
    wait_until(
        lambda: bool(reasons(relay).get(recipient)), f"mail to {recipient} is put off", timeout=30
    )
    return reasons(relay)[recipient]


def empty_queue(relay: Relay) -> None:
    """Throw away what cannot be delivered, for the next test."""
    relay.machine.run(["postsuper", "-d", "ALL"])


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        ("expired", "Server certificate not verified"),
        ("self-signed", "Server certificate not verified"),
        ("misnamed", "Server certificate not verified"),
        ("none", "TLS is required, but was not offered"),
    ],
)
def test_a_server_without_a_good_certificate_gets_nothing(
    lab: Lab, hurried: Relay, certificate: Certificate, why: str
) -> None:
    """Its mail waits; the sender is told of the delay, in the end of the failure, and why."""
    alice = Person.on(hurried)
    stranger = MailServer.up(lab, f"{certificate}.test", certificate=certificate)
    recipient = f"someone@{stranger.domain}"
    wanted = send(alice, recipient)

    assert deferred(hurried, recipient)
    wait_until(
        lambda: len(alice.inbox()) == 2, "a notice of delay and a bounce", timeout=60, step=0.5
    )
    delay, bounce = alice.inbox()

    assert messages.header(delay, "Subject") == ["Delayed Mail (still being retried)"]
    assert messages.header(bounce, "Subject") == ["Undelivered Mail Returned to Sender"]
    for notice in (delay, bounce):
        assert messages.header(notice, "Content-Type")[0].startswith("multipart/report")
        assert len(messages.header(notice, "DKIM-Signature")) == 1
        text = messages.body(notice).decode()
        assert recipient in text
        assert wanted in text
        assert why in " ".join(text.split())
    assert stranger.received() == []
    assert reasons(hurried) == {}
    lab.stop(stranger.machine)


def test_a_server_with_a_good_certificate_gets_its_mail(
    lab: Lab, alice: Person, sender: Relay
) -> None:
    """The certificate carries the name of the mail server: that is the least."""
    stranger = MailServer.up(lab, "valid.test")
    assert level(sender, stranger.domain) == ""
    stranger.wait_for(send(alice, f"someone@{stranger.domain}"))


def serve_policy(lab: Lab, machine: Machine, domain: str, policy: str) -> None:
    """Have a machine serve an MTA-STS policy as any web server would."""
    chain, key = lab.ca.certificate(f"mta-sts.{domain}")
    machine.unpack(
        {
            "/etc/nginx/nginx.conf": File(POLICY_SITE.format(domain=domain)),
            "/etc/nginx/chain.pem": File(chain),
            "/etc/nginx/key.pem": File(key, mode="0600"),
            "/srv/.well-known/mta-sts.txt": File(policy),
        }
    )
    machine.run(["systemctl", "restart", "nginx"])
    machine.wait_for_port(443)


def test_mta_sts_keeps_mail_from_the_host_of_whoever_changed_the_mx(
    lab: Lab, alice: Person, sender: Relay
) -> None:
    """DNS can be forged, and the forger's host has a good certificate for its own name."""
    thief = MailServer.up(lab, "thief.test")
    domain = "policed.test"
    stranger = MailServer.up(lab, domain)
    policy = f"version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: 86400\n"
    serve_policy(lab, stranger.machine, domain, policy)
    address = stranger.machine.address
    honest = [("@", "MX", f"10 mx.{domain}."), ("mx", "A", address), ("mta-sts", "A", address)]
    record = ("_mta-sts", "TXT", "v=STSv1; id=1")
    lab.dns.publish(domain, [*honest, record])
    assert level(sender, domain) == f"secure match=mx.{domain} servername=hostname"
    stranger.wait_for(send(alice, f"someone@{domain}"))

    # The connection to the honest host is kept for half a minute; no longer than that host.
    stranger.machine.run(["systemctl", "restart", "postfix"])
    # The forger also hides the record: the policy fetched before still holds.
    lab.dns.publish(domain, [("@", "MX", f"10 mx.{thief.domain}.")])
    recipient = f"other@{domain}"
    send(alice, recipient)

    assert "Server certificate not verified" in deferred(sender, recipient)
    assert thief.received() == []
    empty_queue(sender)


def test_a_policy_outlasts_a_restart_while_its_host_is_blocked(
    lab: Lab, alice: Person, sender: Relay
) -> None:
    """After a restart the policy was fetched anew: whoever blocked the fetch had lifted it."""
    thief = MailServer.up(lab, "thief.test")
    domain = "restarted.test"
    stranger = MailServer.up(lab, domain)
    policy = f"version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: 86400\n"
    serve_policy(lab, stranger.machine, domain, policy)
    address = stranger.machine.address
    records = [
        ("@", "MX", f"10 mx.{domain}."),
        *(("mx", "A", address), ("mta-sts", "A", address), ("_mta-sts", "TXT", "v=STSv1; id=1")),
    ]
    lab.dns.publish(domain, records)
    enforced = f"secure match=mx.{domain} servername=hostname"
    assert level(sender, domain) == enforced

    stranger.machine.run(["systemctl", "stop", "nginx"])
    forged = [("@", "MX", f"10 mx.{thief.domain}."), *records[1:]]
    # One kill leaves no time to write anything at the end.
    for command in (["systemctl", "restart"], ["systemctl", "kill", "--signal=KILL"]):
        sender.machine.run([*command, "chatmail-tls.service"])
        assert level(sender, domain) == enforced
    lab.dns.publish(domain, forged)
    recipient = f"someone@{domain}"
    send(alice, recipient)

    assert "Server certificate not verified" in deferred(sender, recipient)
    assert thief.received() == []
    empty_queue(sender)

    # A file that is none of ours stops nothing, and is told of.
    cursor = sender.machine.cursor()
    file = sender.value.daemons["paths"]["stsPolicies"]
    sender.machine.run(["systemctl", "stop", "chatmail-tls.service"])
    sender.machine.write(file, "no database at all\n" * 500)
    sender.machine.run(["chown", "chatmail-tls:", file])
    assert level(sender, domain) == ""
    assert "starting without any" in sender.machine.journal("chatmail-tls", after=cursor)


def trust(relay: Relay, *zones: str) -> None:
    """Have the relay's resolver validate these zones, as it validates the world from the root."""
    anchors = "".join(f'  trust-anchor: "{relay.dns.trust_anchor(zone)}"\n' for zone in zones)
    text = relay.value.files["/etc/unbound/unbound.conf"].text
    relay.machine.unpack({"/etc/unbound/unbound.conf": File(f"{text!s}server:\n{anchors}")})
    relay.machine.run(["systemctl", "restart", "unbound"])
    relay.machine.wait_for_port(53, address="127.0.0.1")


def tlsa(machine: Machine, certificate: str) -> str:
    """Return the `3 1 1` data of a certificate (RFC 6698), by OpenSSL's command."""
    command = "openssl x509 -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum"
    return f"3 1 1 {machine.run(command, input=certificate).out.split()[0]}"


def test_dane_believes_the_key_in_a_signed_zone_and_nothing_else(
    lab: Lab, alice: Person, sender: Relay
) -> None:
    """A self-made certificate is good if DNSSEC says so, and any other is not."""
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
    # After a failure the destination rests for half a minute.
    stranger.wait_for(send(alice, f"third@{domain}"), seconds=60)


def test_relays_find_each_others_policy_and_key(lab: Lab, alice: Person, sender: Relay) -> None:
    """A relay goes by what a relay publishes: MTA-STS, and DANE where the zone is signed."""
    other = lab.relay("policy.test")
    bob = Person.on(other)
    assert level(sender, other.domain) == f"secure match={other.domain} servername=hostname"
    bob.wait_for(send(alice, bob.address))

    lab.dns.publish_zone_text(other.domain, other.chatmail("dns").out, signed=True)
    trust(sender, other.domain)
    assert level(sender, other.domain) == "dane-only"
    bob.wait_for(send(alice, bob.address))

    # A renewed certificate with the same key is what the record says.
    paths = other.value.daemons["paths"]
    key = other.machine.read(paths["certificateKey"])
    renewed, _ = lab.ca.certificate(other.domain, key=key)
    other.machine.write(paths["certificate"], renewed)
    other.machine.run(["systemctl", "restart", "postfix"])
    other.wait_ready()
    bob.wait_for(send(alice, bob.address))

    # Another key is not.
    chain, new_key = self_signed(other.domain)
    other.machine.write(paths["certificate"], chain)
    other.machine.write(paths["certificateKey"], new_key, mode="0600")
    other.machine.run(["systemctl", "restart", "postfix"])
    other.wait_ready()
    send(alice, bob.address)
    assert "Server certificate not" in deferred(sender, bob.address)
    empty_queue(sender)


def test_mail_waits_while_nobody_says_what_tls_it_needs(
    lab: Lab, alice: Person, sender: Relay
) -> None:
    """A daemon that is down must not turn DANE into less; what needs no answer goes on."""
    own = Person.on(sender)
    stranger = MailServer.up(lab, "valid.test")
    sender.machine.run(["systemctl", "stop", "chatmail-tls.socket", "chatmail-tls.service"])
    try:
        recipient = f"someone@{stranger.domain}"
        wanted = send(alice, recipient)
        assert "TLS policy" in deferred(sender, recipient) or reasons(sender)[recipient]
        own.wait_for(send(alice, own.address))
    finally:
        sender.machine.run(["systemctl", "start", "chatmail-tls.socket"])
    sender.machine.run(["postqueue", "-f"])
    stranger.wait_for(wanted, seconds=60)
