"""IMAP connections, before or after login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from people.dialogue import Dialogue, insecure

if TYPE_CHECKING:
    from harness.relay import Relay
    from people.people import Person


def imaps(relay: Relay, port: int = 993) -> Dialogue:
    """Connect with TLS (on 443 with ALPN), and read the greeting."""
    imap = Dialogue.connect(relay.address, port, insecure("imap" if port == 443 else None))
    imap.line()
    return imap


def logged_in(person: Person, port: int = 993) -> Dialogue:
    """Log in on a connection with TLS."""
    imap = imaps(person.relay, port)
    assert imap.answer(f'LOGIN "{person.address}" "{person.password}"')[-1].startswith("a OK")
    return imap
