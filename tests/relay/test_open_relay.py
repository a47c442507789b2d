"""Strangers can send mail to users of this relay, but not through it, whatever they try."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

import pytest

from people import handshakes, messages
from people.dialogue import Dialogue, insecure
from people.strangers import port_25

if TYPE_CHECKING:
    from harness.relay import Relay
    from people.people import Person
    from people.strangers import Stranger

# RCPT TO; {us} is the relay's domain, {host} its address, {bob} the name of a user.
FOREIGN_RECIPIENTS = {
    "foreign domain": "<victim@elsewhere.test>",
    "foreign domain in capitals": "<VICTIM@ELSEWHERE.TEST>",
    "subdomain": "<victim@mail.{us}>",
    "domain as a prefix": "<victim@{us}.elsewhere.test>",
    "domain as a suffix": "<victim@elsewhere{us}>",
    "source route": "<@{us}:victim@elsewhere.test>",
    "long source route": "<@{us},@elsewhere.test:victim@elsewhere.test>",
    "percent hack": "<victim%elsewhere.test@{us}>",
    "percent hack on the address": "<victim%elsewhere.test@[{host}]>",
    "bang path": "<elsewhere.test!victim@{us}>",
    "bare bang path": "<elsewhere.test!victim>",
    "quoted address": '<"victim@elsewhere.test"@{us}>',
    "quoted local part": '<"victim"@elsewhere.test>',
    "quoted percent": '<"victim%elsewhere.test"@{us}>',
    "two at signs": "<victim@elsewhere.test@{us}>",
    "two at signs, other order": "<victim@{us}@elsewhere.test>",
    "colon": "<victim@elsewhere.test:{bob}@{us}>",
    "address literal elsewhere": "<victim@[192.0.2.99]>",
    "IPv6 literal elsewhere": "<victim@[IPv6:2001:db8::99]>",
    "address literal of the relay": "<victim@[{host}]>",
    "loopback literal": "<victim@[127.0.0.1]>",
    "localhost": "<victim@localhost>",
    "no domain": "<victim>",
    "postmaster elsewhere": "<postmaster@elsewhere.test>",
    "program": '<"|/bin/sh"@{us}>',
    "file": '<"/etc/passwd"@{us}>',
    "trailing dot": "<victim@elsewhere.test.>",
    "comment": "<{bob}(comment)@elsewhere.test>",
    "no brackets": "victim@elsewhere.test",
    "UTF-8": "<виктим@elsewhere.test>",
}
# Ends of a message that some servers recognise and others do not (CVE-2023-51764 to 51766).
SMUGGLED_ENDS = {
    "LF dot LF": b"\n.\n",
    "LF dot CRLF": b"\n.\r\n",
    "CRLF dot LF": b"\r\n.\n",
    "CR dot CRLF": b"\r.\r\n",
    "CRLF dot CR": b"\r\n.\r",
    "CR dot CR": b"\r.\r",
    "LF dot CR LF CR": b"\n.\r\r\n",
    "NUL": b"\r\n\0.\r\n",
    "NUL behind the dot": b"\r\n.\0\r\n",
}


@pytest.mark.parametrize("attempt", FOREIGN_RECIPIENTS)
def test_a_stranger_cannot_relay(relay: Relay, bob: Person, attempt: str) -> None:
    """RCPT TO is refused, so the relay accepts nothing that it would have to forward."""
    name = bob.address.partition("@")[0]
    recipient = FOREIGN_RECIPIENTS[attempt].format(us=relay.domain, host=relay.address, bob=name)
    with Dialogue.connect(relay.address, 25) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO mx.stranger.test").expect("250 ")
        smtp.starttls()
        smtp.say("MAIL FROM:<someone@stranger.test>").expect("250 ")
        taken = smtp.say(f"RCPT TO:{recipient}").reply()
        if taken.startswith("250"):
            # The relay delivers mail for any name at its own domain, or reports it as unknown.
            assert recipient.endswith(f"@{relay.domain}>") or "@" not in recipient
            assert "elsewhere" not in recipient
            return
        nothing = smtp.say("DATA").reply()

    assert taken[:3] in ("501", "550", "553", "554")
    assert nothing.startswith(("503", "554"))


def test_says_relay_access_denied(relay: Relay) -> None:
    """Tools recognise a closed relay by this text."""
    with port_25(relay) as session, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        session.sendmail("a@stranger.test", ["victim@elsewhere.test"], b"")

    code, text = refused.value.recipients["victim@elsewhere.test"]
    assert code == 554
    assert text.startswith(b"5.7.1 <victim@elsewhere.test>: Relay access denied")


@pytest.mark.parametrize(
    "sender", ["", "{bob}", "postmaster@{us}", "root@localhost", "x@[127.0.0.1]"]
)
def test_no_envelope_sender_opens_the_relay(relay: Relay, bob: Person, sender: str) -> None:
    """The sender's name proves nothing."""
    envelope = sender.format(us=relay.domain, bob=bob.address)
    with port_25(relay) as session:
        session.ehlo()
        session.mail(envelope)
        code, _ = session.rcpt("victim@elsewhere.test")

    assert 500 <= code < 600


@pytest.mark.parametrize("name", ["localhost", "{us}", "[127.0.0.1]", "[{host}]", "mail.{us}"])
def test_no_greeting_opens_the_relay(relay: Relay, name: str) -> None:
    """Anyone can claim to be this relay."""
    with Dialogue.connect(relay.address, 25) as smtp:
        smtp.expect("220 ")
        greeting = f"EHLO {name.format(us=relay.domain, host=relay.address)}"
        smtp.say(greeting).expect("250 ")
        smtp.starttls()
        if smtp.say(greeting).reply().startswith("250"):
            smtp.say("MAIL FROM:<someone@stranger.test>").expect("250 ")
        smtp.say("RCPT TO:<victim@elsewhere.test>").expect("5")


@pytest.mark.parametrize("port", [587, 465])
def test_client_ports_require_a_login(relay: Relay, bob: Person, port: int) -> None:
    """They accept no mail to any recipient without it, whatever the sender."""
    with Dialogue.connect(relay.address, port, insecure() if port == 465 else None) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO client.test").expect("250 ")
        if port == 587:
            smtp.starttls()
        for sender in (bob.address, "someone@stranger.test", ""):
            for recipient in ("victim@elsewhere.test", bob.address):
                smtp.say(f"MAIL FROM:<{sender}>").reply()
                smtp.say(f"RCPT TO:<{recipient}>").expect("5")
                smtp.say("RSET").expect("250 ")


def test_internal_ports_are_not_reachable(relay: Relay) -> None:
    """Some trust a line with the client's address; others have no connection limits."""
    for port in (10025, 10465, 10443, 10993, 20465, 20587):
        for address in (relay.address, relay.address6):
            with pytest.raises(OSError, match=r"refused|unreachable"):
                Dialogue.connect(address, port)


@pytest.mark.parametrize("end", SMUGGLED_ENDS)
def test_a_stranger_cannot_smuggle_a_second_message(
    relay: Relay, bob: Person, stranger: Stranger, end: str
) -> None:
    """If two servers disagree about the end, a second message passes all checks."""
    first = stranger.signed(messages.encrypted(stranger.address(), bob.address))
    second = messages.encrypted("admin@elsewhere.test", bob.address)
    with Dialogue.connect(relay.address, 25) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO mx.stranger.test").expect("250 ")
        smtp.starttls()
        _smuggle(
            smtp,
            first,
            SMUGGLED_ENDS[end],
            second,
            sender=stranger.address(),
            recipient=bob.address,
        )

    sentinel = messages.encrypted(stranger.address(), bob.address)
    stranger.deliver(relay, sentinel, bob.address)
    assert messages.id_of(second) not in bob.inbox_after(sentinel)


@pytest.mark.parametrize("end", SMUGGLED_ENDS)
def test_a_client_cannot_smuggle_a_second_message(alice: Person, bob: Person, end: str) -> None:
    """A second message would reach other servers under any name."""
    first = handshakes.setup_message(alice.address, alice.address)
    second = messages.encrypted(bob.address, bob.address)
    with Dialogue.connect(alice.relay.address, 465, insecure()) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO client.test").expect("250 ")
        smtp.plain_login(alice.address, alice.password)
        _smuggle(
            smtp, first, SMUGGLED_ENDS[end], second, sender=alice.address, recipient=alice.address
        )

    sentinel = messages.encrypted(alice.address, bob.address)
    alice.send(sentinel, bob.address)
    assert bob.inbox_after(sentinel) == []
    for arrived in alice.inbox():
        assert b"\n.\r\n" not in arrived.replace(b"\r\n", b"\0")
        assert b"\r" not in arrived.replace(b"\r\n", b"")


def _smuggle(
    smtp: Dialogue, first: bytes, end: bytes, second: bytes, *, sender: str, recipient: str
) -> None:
    """Send a message that contains a second one with another envelope; return all replies."""
    smtp.say(f"MAIL FROM:<{sender}>").expect("250 ")
    smtp.say(f"RCPT TO:<{recipient}>").expect("250 ")
    smtp.say("DATA").expect("354 ")
    envelope = f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
    smtp.send(first.removesuffix(b"\r\n") + end + envelope + second)
    smtp.say("\r\n.").say("QUIT")
    assert smtp.ended()


def test_a_client_that_does_not_wait_is_disconnected(relay: Relay, bob: Person) -> None:
    """Spam programs send without waiting; PIPELINING is announced later (RFC 2920)."""
    with Dialogue.connect(relay.address, 25) as smtp:
        smtp.expect("220 ")
        smtp.send(b"HELO mx.stranger.test\r\nMAIL FROM:<a@stranger.test>\r\nQUIT\r\n")
        said = smtp.reply()

    assert said.startswith(("554", "521", "503"))


def test_permitted_pipelining_works(bob: Person, stranger: Stranger) -> None:
    """Honest servers send the whole envelope in one packet."""
    message = messages.encrypted(stranger.address(), bob.address)
    with Dialogue.connect(bob.relay.address, 25) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO mx.stranger.test").expect("250 ")
        smtp.starttls()
        smtp.send(
            f"MAIL FROM:<{stranger.address()}>\r\nRCPT TO:<{bob.address}>\r\nDATA\r\n".encode()
        )
        smtp.expect("250 ")
        smtp.expect("250 ")
        smtp.expect("354 ")
        smtp.send(stranger.signed(message)).say(".").expect("250 ")

    bob.wait_for(message)
