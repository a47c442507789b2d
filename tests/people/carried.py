"""Sends many messages through a relay over a few connections, and reports each outcome."""

from __future__ import annotations

import email
import email.policy
import smtplib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from people.messages import id_of
from people.people import ARRIVAL_SECONDS, Person
from people.strangers import Stranger, port_25

if TYPE_CHECKING:
    from harness.relay import Relay
    from people.messages import Builder

# The number of messages per sender at once, within the default of `sending.burst`.
BURST = 10


@dataclass
class Outcome:
    """What a relay did with a message: refused it, with code and text, or delivered octets."""

    code: int = 250
    said: str = ""
    stored: bytes = b""

    @property
    def result(self) -> str:
        """The outcome as a word for the table."""
        return "delivered" if self.code == 250 else f"refused ({self.code})"


def submit(relay: Relay, letters: Mapping[str, Builder]) -> dict[str, Outcome]:
    """Submit each message from one account to another on the same relay."""
    reader = Person.on(relay)
    outcomes: dict[str, Outcome] = {}
    every = list(letters)
    for names in [every[start : start + BURST] for start in range(0, len(every), BURST)]:
        sender = Person.on(relay)
        with sender.smtp() as session:
            for name in names:
                message = letters[name](sender.address, reader.address)
                outcomes[name] = _send(session, sender.address, reader.address, message)
    _fetch(reader, outcomes)
    return outcomes


def deliver(relay: Relay, stranger: Stranger, letters: Mapping[str, Builder]) -> dict[str, Outcome]:
    """Deliver each message, signed, from another server to an account."""
    reader = Person.on(relay)
    outcomes: dict[str, Outcome] = {}
    with port_25(relay) as session:
        for name, build in letters.items():
            message = stranger.signed(build(stranger.address(), reader.address))
            outcomes[name] = _send(session, stranger.address(), reader.address, message)
    _fetch(reader, outcomes)
    return outcomes


def encrypted_part(message: bytes) -> str:
    """Return the armor of a PGP/MIME message (RFC 3156 4), in any transfer encoding."""
    _, part = email.message_from_bytes(message, policy=email.policy.default).iter_parts()
    content = part.get_content()
    assert isinstance(content, bytes)
    return content.decode()


def _send(session: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> Outcome:
    try:
        session.sendmail(sender, [recipient], message)
    except smtplib.SMTPDataError as refused:
        text = refused.smtp_error
        return Outcome(refused.smtp_code, text.decode() if isinstance(text, bytes) else text)
    return Outcome(stored=id_of(message).encode())


def _fetch(reader: Person, outcomes: Mapping[str, Outcome]) -> None:
    """Replace the Message-IDs of accepted messages by the delivered octets."""
    waiting = {outcome.stored.decode(): outcome for outcome in outcomes.values() if outcome.stored}
    deadline = time.monotonic() + ARRIVAL_SECONDS + len(waiting)
    arrived: dict[str, bytes] = {}
    while waiting.keys() - arrived and time.monotonic() < deadline:
        arrived = {id_of(message): message for message in reader.inbox()}
    for name, outcome in waiting.items():
        outcome.stored = arrived.get(name, b"")
