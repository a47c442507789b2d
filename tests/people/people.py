"""Users of a relay, and what they do: log in, send, wait for a message."""

from __future__ import annotations

import base64
import smtplib
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imap_tools import BaseMailBox, MailBox

from people.dialogue import SECONDS, Dialogue, insecure
from people.messages import id_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.relay import Relay

ARRIVAL_SECONDS = 20


@dataclass(frozen=True)
class Person:
    """An address with its password. The first login creates the account."""

    relay: Relay
    address: str
    password: str

    @classmethod
    def on(cls, relay: Relay) -> Person:
        """Create a new user, already logged in once, so that the account exists."""
        person = cls(relay, *relay.credentials())
        with person.mailbox():
            pass
        return person

    @contextmanager
    def mailbox(self) -> Iterator[BaseMailBox]:
        """Log in by IMAP with TLS and select INBOX."""
        with MailBox(self.relay.address, ssl_context=insecure(), timeout=SECONDS).login(
            self.address, self.password
        ) as box:
            yield box

    @contextmanager
    def smtp(
        self, *, source: str | None = None, name: str = "client.test"
    ) -> Iterator[smtplib.SMTP]:
        """Log in on port 465, optionally from the local address `source`."""
        place = (source, 0) if source else None
        with smtplib.SMTP_SSL(
            self.relay.address,
            465,
            local_hostname=name,
            timeout=SECONDS,
            context=insecure(),
            source_address=place,
        ) as session:
            session.login(self.address, self.password)
            yield session

    def submission(self, port: int = 465) -> Dialogue:
        """Log in line by line on 465, 587 or 443, the three submission ports."""
        tls = {465: insecure(), 443: insecure("smtp"), 587: None}[port]
        smtp = Dialogue.connect(self.relay.address, port, tls)
        smtp.expect("220 ")
        smtp.say("EHLO client.test").expect("250 ")
        if port == 587:
            smtp.starttls()
        return smtp.plain_login(self.address, self.password)

    def send(self, message: bytes, *recipients: str, sender: str | None = None) -> None:
        """Submit a message; raises what smtplib raises."""
        with self.smtp() as session:
            session.sendmail(self.address if sender is None else sender, recipients, message)

    def wait_for(self, message: bytes | str, seconds: float = ARRIVAL_SECONDS) -> bytes:
        """Wait until a message (or a Message-ID) is in INBOX; return the stored octets."""
        wanted = message if isinstance(message, str) else id_of(message)
        return self._wait(f'HEADER Message-ID "{wanted}"', wanted, seconds)

    def wait_for_any(self, seconds: float = ARRIVAL_SECONDS) -> bytes:
        """Wait until there is a message in INBOX; return the octets of the newest."""
        return self._wait("ALL", "any message", seconds)

    def _wait(self, criteria: str, what: str, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        with self.mailbox() as box:
            while not (found := box.uids(criteria)):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{what} did not arrive within {seconds:g} s")
                # Short, because messages that arrived since the search are not announced again.
                box.idle.wait(timeout=min(left, 0.5))
            return _octets(box, found[-1])

    def inbox(self) -> list[bytes]:
        """Return all messages of INBOX in the order of arrival, as stored."""
        with self.mailbox() as box:
            return [_octets(box, uid) for uid in box.uids()]

    def inbox_after(self, sentinel: bytes) -> Sequence[str]:
        """
        Wait for a message sent last; return the Message-IDs of all earlier messages.

        Mail for one mailbox is delivered in the order of acceptance, so a message that is missing
        now was not accepted.
        """
        self.wait_for(sentinel)
        return [id_of(message) for message in self.inbox() if id_of(message) != id_of(sentinel)]


def _octets(box: BaseMailBox, uid: str) -> bytes:
    _, data = box.client.uid("fetch", uid, "(BODY.PEEK[])")
    content: bytes = data[0][1]
    return content


def imap_login(relay: Relay, address: str, password: str) -> str:
    """Try to log in by IMAP; return "" or the relay's reply."""
    name, word = address.encode(), password.encode()
    with Dialogue.connect(relay.address, 993, insecure()) as imap:
        imap.line()
        # Literals can contain characters that quoted strings cannot.
        imap.say(f"a LOGIN {{{len(name)}+}}").send(name)
        imap.say(f" {{{len(word)}+}}").send(word).say("")
        said = imap.until("a")[-1]
    return "" if said.startswith("a OK ") else said.partition(" NO ")[2] or said


def smtp_login(relay: Relay, address: str, password: str) -> str:
    """Try to log in by submission; return "" or the relay's reply."""
    token = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
    with Dialogue.connect(relay.address, 465, insecure()) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO client.test").expect("250 ")
        said = smtp.say(f"AUTH PLAIN {token}").reply()
    return "" if said.startswith("235 ") else said


def exists(relay: Relay, address: str) -> bool:
    """Return whether Dovecot finds an account of this address for a delivery."""
    return relay.machine.run(["doveadm", "user", address], check=False).status == 0
