"""Mail servers of other makes and a relay: mail both ways with TLS, signatures verified by each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness.stranger import MailHost, MailServer
from interop.table import Row
from people import exim, messages, opensmtpd
from people.exim import Exim
from people.opensmtpd import OpenSmtpd
from people.people import Person
from people.pgp_modes import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def opensmtpd_peer(lab: Lab) -> OpenSmtpd:
    """An OpenSMTPD elsewhere."""
    return OpenSmtpd.up(lab, "opensmtpd.test")


@pytest.fixture(scope="module")
def postfix_peer(lab: Lab) -> MailServer:
    """A classic Postfix elsewhere."""
    return MailServer.up(lab, "postfix.test")


@pytest.fixture(params=["Exim", "OpenSMTPD", "Postfix"])
def peer(request: pytest.FixtureRequest) -> MailHost:
    """Each of them."""
    found = request.getfixturevalue(f"{request.param.lower()}_peer")
    assert isinstance(found, MailHost)
    return found


@pytest.fixture
def now(
    request: pytest.FixtureRequest, peer: MailHost, tried: Callable[[Row], None]
) -> Callable[[str, str], None]:
    """Say what is tried with a peer: direction and deed."""
    name = request.node.callspec.params["peer"]
    version = (
        peer.version()
        if isinstance(peer, Exim | OpenSmtpd)
        else peer.machine.run(["postconf", "-h", "mail_version"]).out.strip()
    )
    return lambda direction, deed: tried(Row(name, version, direction, deed))


def from_of(peer: MailHost) -> str:
    """Return somebody's address there."""
    return f"someone@{peer.domain}"


LINES = "".join(f"Grüße Nr. {number}, {'x' * (number % 300)}\n" for number in range(400))


def test_their_mail_comes_in(
    peer: MailHost,
    now: Callable[[str, str], None],
    public_relay: Relay,
    strict_public_relay: Relay,
) -> None:
    """Signed by them and verified here: readable mail where it is allowed, encrypted everywhere."""
    now("in", "readable mail, 8 bit, signed with DKIM")
    reader = Person.on(public_relay)
    readable = messages.compose(from_of(peer), reader.address, LINES)
    peer.send(readable, from_of(peer), reader.address)
    arrived = reader.wait_for(readable)
    assert messages.body(arrived).decode().splitlines() == LINES.splitlines()

    now("in, strict", "encrypted mail, signed with DKIM")
    reader = Person.on(strict_public_relay)
    encrypted = messages.encrypted(from_of(peer), reader.address)
    peer.send(encrypted, from_of(peer), reader.address)
    assert messages.body(reader.wait_for(encrypted)).strip() == messages.body(encrypted).strip()

    now("in, strict", "encrypted mail of 5 MB")
    large = messages.encrypted_of_size(from_of(peer), reader.address, 5_000_000)
    peer.send(large, from_of(peer), reader.address)
    assert messages.body(reader.wait_for(large)).strip() == messages.body(large).strip()


def test_our_mail_comes_in_there(
    peer: MailHost, now: Callable[[str, str], None], public_relay: Relay
) -> None:
    """Over TLS that both verify, unchanged, and also when it is large."""
    sender = Person.on(public_relay)
    now("out", "encrypted mail over verified TLS")
    message = messages.encrypted(sender.address, from_of(peer))
    sender.send(message, from_of(peer))
    stored = peer.wait_for(messages.id_of(message))
    assert messages.body(stored).strip() == messages.body(message).strip()
    assert re.search("esmtps|TLS", messages.header(stored, "Received")[0], re.IGNORECASE)

    now("out", "encrypted mail of 5 MB")
    large = messages.encrypted_of_size(sender.address, from_of(peer), 5_000_000)
    sender.send(large, from_of(peer))
    assert (
        messages.body(peer.wait_for(messages.id_of(large))).strip() == messages.body(large).strip()
    )


def test_each_tells_the_other_that_a_person_is_unknown(
    peer: MailHost, now: Callable[[str, str], None], public_relay: Relay
) -> None:
    """Their refusal becomes a report here, and ours a signed report there."""
    sender = Person.on(public_relay)
    now("out", "their refusal is reported to the sender")
    message = messages.encrypted(sender.address, f"unknown@{peer.domain}")
    sender.send(message, f"unknown@{peer.domain}")
    assert b"no such user here" in sender.wait_for_any()

    now("in", "our report about an unknown recipient arrives there")
    gone = f"nobody12345@{public_relay.domain}"
    message = messages.encrypted(from_of(peer), gone)
    peer.send(message, from_of(peer), gone)
    report = peer.wait_for(messages.id_of(message))
    assert f"@{public_relay.domain}" in messages.header(report, "From")[0]


def test_our_signature_is_good_for_their_own_verifier(
    exim_peer: Exim,
    opensmtpd_peer: OpenSmtpd,
    public_relay: Relay,
    tried: Callable[[Row], None],
) -> None:
    """What they write above a message when it comes in."""
    sender = Person.on(public_relay)
    for peer, field, good, row in (
        (
            exim_peer,
            exim.VERDICT,
            f"{public_relay.domain} pass",
            Row("Exim", exim_peer.version(), "out", "our DKIM signature verified"),
        ),
        (
            opensmtpd_peer,
            opensmtpd.VERDICT,
            f"dkim=pass header.d={public_relay.domain}",
            Row("rspamd", opensmtpd_peer.rspamd_version(), "out", "our DKIM signature verified"),
        ),
    ):
        tried(row)
        message = messages.encrypted(sender.address, from_of(peer))
        sender.send(message, from_of(peer))
        stored = peer.wait_for(messages.id_of(message))
        assert good in " ".join(messages.header(stored, field))


VERIFIERS = {
    "OpenDKIM": (
        "dpkg-query -W -f '${Version}' opendkim-tools",
        "opendkim-testmsg && echo pass",
        "pass",
    ),
    "dkimpy": ("dpkg-query -W -f '${Version}' python3-dkim", "dkimverify", "signature ok"),
    "Mail::DKIM": (
        "dpkg-query -W -f '${Version}' libmail-dkim-perl",
        "dkimproxy-verify",
        "verify result: pass",
    ),
    "mailauth": (
        "node -p \"require('/usr/local/lib/node_modules/mailauth/package.json').version\"",
        f"node {SCRIPTS}/mailauth_verify.js",
        "pass",
    ),
}


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_our_signature_is_good_for_other_verifiers(
    verifier: str, exim_peer: Exim, public_relay: Relay, tried: Callable[[Row], None]
) -> None:
    """And not for a changed message, so the verifier does look."""
    version, command, good = VERIFIERS[verifier]
    run = exim_peer.machine.run
    tried(Row(verifier, run(version).out.strip(), "out", "our DKIM signature verified"))
    sender = Person.on(public_relay)
    message = messages.encrypted(sender.address, from_of(exim_peer))
    sender.send(message, from_of(exim_peer))
    stored = exim_peer.wait_for(messages.id_of(message))

    said = run(command, input=stored)
    assert good in said.out + said.err
    forged = run(command, input=stored.replace(b"Subject: [...]", b"Subject: News"), check=False)
    assert good not in forged.out + forged.err
