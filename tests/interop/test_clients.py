"""Ordinary mail programs: what they encrypt goes out and comes in, what they do not is refused."""

from __future__ import annotations

import base64
import email
import email.policy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from interop.table import Row
from people import carried, messages
from people.people import Person
from people.pgp_modes import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.process import Result
    from harness.relay import Relay
    from people.exim import Exim

pytestmark = pytest.mark.timeout(120)

TEXT = "Grüße von einem gewöhnlichen Programm, Nummer 4711\n"


@dataclass(frozen=True)
class Client:
    """A mail program: the command that prints its version, and the one that sends its input."""

    name: str
    version: str
    command: str


CLIENTS = (
    Client("swaks", "swaks --version", f"bash {SCRIPTS}/swaks_mail.sh"),
    Client("neomutt", "neomutt -v", f"bash {SCRIPTS}/neomutt_mail.sh"),
    Client(
        "Python email, MIMEMultipart",
        "python3 --version",
        f"STYLE=MIMEMultipart python3 {SCRIPTS}/python_mail.py",
    ),
    Client(
        "Python email, EmailMessage",
        "python3 --version",
        f"STYLE=EmailMessage python3 {SCRIPTS}/python_mail.py",
    ),
    Client(
        "nodemailer",
        "node -p \"require('/usr/local/lib/node_modules/nodemailer/package.json').version\"",
        f"node {SCRIPTS}/nodemailer_mail.js",
    ),
)


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    """Each program."""
    found = request.param
    assert isinstance(found, Client)
    return found


@pytest.fixture
def now(client: Client, exim_peer: Exim, tried: Callable[[Row], None]) -> Callable[..., None]:
    """Say what is tried with the program: direction, deed and result."""
    said = exim_peer.machine.run(client.version).out
    found = re.search(r"\d[\w.]*", said)
    assert found, said
    return lambda *cells: tried(Row(client.name, found[0], *cells))


def run(
    client: Client, peer: Exim, sender: str, reader: Person, *, owner: Person | None, plain: bool
) -> Result:
    """Have a program send the text, as the owner of an account or as a user of the machine."""
    variables = {"FROM": sender, "TO": reader.address, "HOME": "/root"}
    # Node.js trusts only the authorities that it brings along.
    variables["NODE_EXTRA_CA_CERTS"] = "/etc/ssl/certs/ca-certificates.crt"
    variables |= {"PLAIN": "yes"} if plain else {}
    if owner:
        variables |= {"SERVER": owner.relay.domain, "PASSWORD": owner.password}
    assigned = " ".join(f"{name}={value}" for name, value in variables.items())
    return peer.machine.run(f"cd /root && {assigned} {client.command}", input=TEXT, check=False)


def make_key(peer: Exim, reader: Person) -> None:
    """Make a GnuPG key for somebody."""
    words = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key"]
    peer.machine.run([*words, reader.address, "default", "default", "never"])


def decrypted(peer: Exim, stored: bytes) -> str:
    """Decrypt a stored message with GnuPG; the text of the message inside."""
    armor = carried.encrypted_part(stored)
    coded = peer.machine.run("gpg --batch --quiet --decrypt | base64", input=armor).out
    inner = email.message_from_bytes(base64.b64decode(coded), policy=email.policy.default)
    text: str = inner.get_content()
    return text


def test_sends_encrypted_mail(
    client: Client, now: Callable[..., None], exim_peer: Exim, public_relay: Relay
) -> None:
    """From an account, over TLS whose certificate it verifies, to another account."""
    sender, reader = Person.on(public_relay), Person.on(public_relay)
    make_key(exim_peer, reader)
    now("out", "encrypted mail", "decrypted")
    done = run(client, exim_peer, sender.address, reader, owner=sender, plain=False)
    assert done.status == 0, done
    assert TEXT.strip() in decrypted(exim_peer, reader.wait_for_any())


def test_its_encrypted_mail_comes_in(
    client: Client, now: Callable[..., None], exim_peer: Exim, strict_public_relay: Relay
) -> None:
    """By way of its machine's Exim, at a relay that takes nothing readable."""
    reader = Person.on(strict_public_relay)
    make_key(exim_peer, reader)
    now("in, strict", "encrypted mail", "decrypted")
    done = run(client, exim_peer, f"root@{exim_peer.domain}", reader, owner=None, plain=False)
    assert done.status == 0, done
    assert TEXT.strip() in decrypted(exim_peer, reader.wait_for_any())


def test_its_readable_mail_comes_in_where_that_is_allowed(
    client: Client, now: Callable[..., None], exim_peer: Exim, public_relay: Relay
) -> None:
    """As sign-up mails and newsletters do."""
    reader = Person.on(public_relay)
    now("in", "readable mail", "delivered")
    done = run(client, exim_peer, f"root@{exim_peer.domain}", reader, owner=None, plain=True)
    assert done.status == 0, done
    reader.wait_for_any()


def test_cannot_send_readable_mail(
    client: Client, now: Callable[..., None], exim_peer: Exim, public_relay: Relay
) -> None:
    """The program is told why, and nothing arrives."""
    sender, reader = Person.on(public_relay), Person.on(public_relay)
    now("out", "readable mail", "refused (523)")
    done = run(client, exim_peer, sender.address, reader, owner=sender, plain=True)
    said = done.out + done.err
    assert "523" in said
    assert "Encryption Needed: Invalid Unencrypted Mail" in said
    sentinel = messages.encrypted(sender.address, reader.address)
    sender.send(sentinel, reader.address)
    assert reader.inbox_after(sentinel) == []
