"""
Everything that users and strangers do with a relay, and do wrong, and the traces to look for.

The connections come from IP addresses that nothing else in the lab uses, so each trace of them has
this origin.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import secrets
import smtplib
import ssl
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aioice import stun

from harness.deltachat import await_message
from harness.process import wait_until
from people import messages
from people.dialogue import Dialogue, insecure
from people.people import Person
from people.strangers import port_25
from people.turn_client import Offer, allocation
from people.website import shown_invite

if TYPE_CHECKING:
    from harness.deltachat import Core
    from harness.relay import Relay
    from people.strangers import Stranger

# Nothing else in the lab connects from these addresses.
HOME = "192.0.2.109"
HOME6 = "2001:db8::109"
LAPTOP = "annas-laptop.example"
# Text in a message's header that reveals where it was written.
OFFICE = "198.51.100.9"
DESK = "annas-desk.example"
SUBJECT = "Doctor's appointment"
FAR = "far@elsewhere.test"
# This domain exists but does not answer, so mail to it waits.
ASLEEP = "asleep.test"

TELLING = (
    f"Received: from {DESK} ([{OFFICE}]) by mail.example; Sat, 21 Nov 2026 03:00:00 +0000",
    "User-Agent: Mozilla/5.0 (Linux; Android 14) AnnasMail/1.0",
    "X-Mailer: AnnasMail 1.0",
    f"X-Originating-IP: [{OFFICE}]",
    f"X-Client-IP: {OFFICE}",
    "Bcc: <hidden@elsewhere.test>",
    f"X-Real-IP: {OFFICE}",
    "X-Apple-Mail-Remote-Attachments: YES",
    f"Authentication-Results: mail.example; auth=pass iprev=pass policy.iprev={OFFICE}",
)
TRACES = (HOME, LAPTOP, OFFICE, DESK, "AnnasMail", "hidden@elsewhere.test", SUBJECT, "Android")

IMAP_PORTS = ((993, None), (443, "imap"), (143, "starttls"))
SMTP_PORTS = ((465, None), (443, "smtp"), (587, "starttls"))


def submitted(alice: Person, recipient: str) -> bytes:
    """Send from home a message with every revealing header field; return the message."""
    message = messages.pgp_mime(
        alice.address,
        recipient,
        messages.armor_for(alice.address, recipient),
        subject=SUBJECT,
        fields=TELLING,
    )
    with alice.smtp(source=HOME, name=LAPTOP) as session:
        session.sendmail(alice.address, [recipient], message)
    return message


@dataclass
class BusyMinute:
    """The actions in parts; `words` are the traces by kind."""

    relay: Relay
    stranger: Stranger
    words: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.alice, self.bob = (Person(self.relay, *self.relay.credentials()) for _ in range(2))
        self.nobody, _ = self.relay.credentials()
        self.token = f"openpgp:{secrets.token_hex(16)}"
        self.wrong = secrets.token_urlsafe(16)
        self.author = self.stranger.address("marie")
        self.words = {
            "client address": HOME,
            "client address (IPv6)": HOME6,
            "client name": LAPTOP,
            "address in a header": OFFICE,
            "name in a header": DESK,
            "sender": self.alice.address,
            "recipient": self.bob.address,
            "name of the sender": self.alice.address.partition("@")[0],
            "name of nobody": self.nobody.partition("@")[0],
            "stranger": self.author,
            "password": self.alice.password,
            "wrong password": self.wrong,
            "subject": SUBJECT,
            "text": messages.PHRASE,
            "token": self.token,
            "foreign recipient": FAR,
        }
        self.scraped = ""

    def all(self) -> None:
        """Run all parts."""
        self.imap()
        self.smtp_logins()
        self.mail()
        self.mail_of_strangers()
        self.web()
        self.invite()
        self.calls()
        self.rubbish()
        self.too_much()

    def imap(self) -> None:
        """Log in on every IMAP port, with the right and with a wrong password."""
        for source, host in ((HOME, self.relay.address), (HOME6, self.relay.address6)):
            for port, how in IMAP_PORTS:
                for person in (self.alice, self.bob):
                    with self._imap(host, port, how, source) as imap:
                        said = imap.answer(f'LOGIN "{person.address}" "{person.password}"')
                        assert said[-1].startswith("a OK "), said
                        imap.answer('ID ("name" "AnnasMail" "os" "Android")')
                        imap.answer(f'SETMETADATA INBOX (/private/devicetoken "{self.token}")')
                        imap.answer("SELECT INBOX")
                with self._imap(host, port, how, source) as imap:
                    said = imap.answer(f'LOGIN "{self.alice.address}" "{self.wrong}"')
                    assert said[-1].startswith("a NO "), said
                    imap.answer(f'LOGIN "{self.nobody}" "short"')

    def _imap(self, host: str, port: int, how: str | None, source: str) -> Dialogue:
        tls = None if how == "starttls" else insecure(how)
        imap = Dialogue.connect(host, port, tls, source=source)
        imap.line()
        if how == "starttls":
            imap.answer("STARTTLS")
            imap.secure()
        return imap

    def smtp_logins(self) -> None:
        """Do the same on the submission ports."""
        for source, host in ((HOME, self.relay.address), (HOME6, self.relay.address6)):
            for port, how in SMTP_PORTS:
                for word, code in ((self.alice.password, "235 "), (self.wrong, "535 ")):
                    tls = None if how == "starttls" else insecure(how)
                    with Dialogue.connect(host, port, tls, source=source) as smtp:
                        smtp.expect("220 ")
                        smtp.say(f"EHLO {LAPTOP}").expect("250 ")
                        if how == "starttls":
                            smtp.starttls()
                        token = base64.b64encode(f"\0{self.alice.address}\0{word}".encode())
                        smtp.say(f"AUTH PLAIN {token.decode()}").expect(code)
                        smtp.say("QUIT").reply()

    def mail(self) -> None:
        """Send mail that is delivered, bounced, queued and refused."""
        alice, bob = self.alice, self.bob
        bob.wait_for(submitted(alice, bob.address))
        submitted(alice, self.nobody)
        alice.wait_for_any()
        submitted(alice, f"someone@{ASLEEP}")
        with alice.smtp(source=HOME, name=LAPTOP) as session:
            for message, sender in (
                (messages.cleartext(alice.address, bob.address), alice.address),
                (messages.encrypted(bob.address, bob.address), alice.address),
                (messages.encrypted(alice.address, bob.address), bob.address),
                (b"From: rubbish\n\n", alice.address),
            ):
                refused(session, sender, bob.address, message)

    def mail_of_strangers(self) -> None:
        """Deliver valid and invalid mail from another server."""
        bob = self.bob
        letter = messages.compose(self.author, bob.address, messages.PHRASE, subject=SUBJECT)
        armor = messages.armor_for(self.author, bob.address)
        fields = (TELLING[0], TELLING[-1])
        sealed = messages.pgp_mime(self.author, bob.address, armor, fields=fields)
        with port_25(self.relay, source=HOME) as session:
            for message in (letter, sealed):
                session.sendmail(self.author, [bob.address], self.stranger.signed(message))
                bob.wait_for(message)
            # Unsigned, for another relay, or from a foreign address.
            refused(session, self.author, bob.address, letter)
            refused(session, self.author, FAR, letter)
            refused(session, self.alice.address, bob.address, letter)
            # Mail as marie's own server forwards it from her home.
            refused(session, f"marie@{DESK}", bob.address, letter)

    def web(self) -> None:
        """Request pages, new addresses, missing files and invalid input."""
        for source in (HOME, HOME6):
            self._ask(source, "POST", "/new")
            for path in ("/", "/info.html", "/new", "/nothing", "/.git/config", "/?a=annas"):
                self._ask(source, "GET", path, {"User-Agent": "AnnasMail/1.0", "Cookie": "a=b"})
            login = base64.b64encode(f"{self.alice.address}:{self.wrong}".encode()).decode()
            self._ask(source, "POST", "/delete", {"Authorization": f"Basic {login}"})
            sender = {"X-MAIL-FROM": self.author, "X-MAIL-TO": self.bob.address}
            self._ask(source, "POST", "/mxdeliv", sender, b"rubbish")
            self._ask(source, "PUT", "/" + "x" * 9000)
            # Longer than a file name may be, which nginx logs at level crit.
            self._ask(source, "GET", "/" + "x" * 300)
            self._ask(source, "POST", "/new", body=b"x" * 100_000)

    def _ask(
        self,
        source: str,
        method: str,
        path: str,
        fields: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        host = self.relay.address6 if ":" in source else self.relay.address
        connection = http.client.HTTPSConnection(
            host, timeout=15, context=insecure(), source_address=(source, 0)
        )
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request(method, path, body, {"Host": self.relay.domain, **(fields or {})})
            connection.getresponse().read()
        connection.close()

    def invite(self) -> None:
        """Open and use an invite, and try an invalid one."""
        made = json.loads(self.relay.chatmail("invites", "add", "--json").out)
        path = made["link"].partition(self.relay.domain)[2]
        self.words["invite"] = path.partition("=")[2]
        assert len(self.words["invite"]) > 8
        for source in (HOME, HOME6):
            for method in ("GET", "POST"):
                self._ask(source, method, path)
                self._ask(source, method, f"{path}x")

    def echo(self, core: Core) -> None:
        """Write to the bot with Delta Chat core, and wait for its answer."""
        invite = wait_until(lambda: shown_invite(self.relay), "the invite of the bot", timeout=60)
        writer = core.account(self.relay, "Anna Miller")
        said = "Does anybody read this?"
        chat = writer.secure_join(invite)
        writer.wait_for_securejoin_joiner_success()
        chat.send_text(said)
        await_message(writer, said)
        self.words |= {
            "who wrote to the bot": str(writer.get_config("configured_addr")),
            "name of who wrote to the bot": "Anna Miller",
            "what the bot was told": said,
        }

    def scrape(self) -> None:
        """Scrape the metrics as Prometheus does."""
        scrape = ["curl", "--silent", "--fail", "http://127.0.0.1:3903/metrics"]
        self.scraped = self.relay.machine.run(scrape).out

    def calls(self) -> None:
        """Use TURN with valid and invalid credentials, and with a forbidden peer."""
        if self.relay.value.daemons["metadata"]["turn"] is None:
            return
        offer = Offer.of(self.alice)

        async def call() -> None:
            server = (self.relay.address, offer.port)
            async with allocation(server, offer.username, offer.password, source=HOME) as one:
                await one.send(b"hello", one.address)
                with contextlib.suppress(stun.TransactionError):
                    await one.send(b"hello", ("10.0.0.1", 9))
            with contextlib.suppress(stun.TransactionError):
                async with allocation(server, offer.username, self.wrong, source=HOME):
                    pass

        asyncio.run(call())

    def rubbish(self) -> None:
        """Send half a handshake, half a command, a line of rubbish, and an old TLS version."""
        for source, host in ((HOME, self.relay.address), (HOME6, self.relay.address6)):
            for port in (25, 143, 587, 993, 465, 443, 80):
                text = f"HELP {self.alice.address}"
                Dialogue.connect(host, port, source=source).say(text).close()
                with contextlib.suppress(OSError):
                    Dialogue.connect(host, port, old_tls(), source=source).close()

    def too_much(self) -> None:
        """Exceed every limit: messages, new addresses, connections, wrong passwords."""
        for _ in range(40):
            self._ask(HOME, "POST", "/new")
            self._ask(HOME, "POST", "/delete", {"Authorization": "Basic YTpi"})
        with self.alice.smtp(source=HOME, name=LAPTOP) as session:
            for _ in range(15):
                message = messages.encrypted(self.alice.address, self.bob.address)
                with contextlib.suppress(smtplib.SMTPException):
                    session.sendmail(self.alice.address, [self.bob.address], message)
        with contextlib.ExitStack() as stack:
            for port, tls in ((465, insecure()), (25, None), (993, insecure())):
                for _ in range(15):
                    with contextlib.suppress(OSError):
                        stack.enter_context(
                            Dialogue.connect(self.relay.address, port, tls, source=HOME)
                        )


def old_tls() -> ssl.SSLContext:
    """Return a context for TLS 1.0, which the relay refuses."""
    # Python warns about it too.
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return insecure(versions=(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1))


def refused(session: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> None:
    """Deliver mail that must be refused."""
    try:
        session.sendmail(sender, [recipient], message)
    except smtplib.SMTPResponseException as error:
        assert error.smtp_code >= 500, error  # noqa: PT017 - 4xx would mean: try again
    except smtplib.SMTPRecipientsRefused as error:
        assert error.recipients[recipient][0] >= 500, error  # noqa: PT017
    else:
        raise AssertionError("the relay took what it must refuse")
