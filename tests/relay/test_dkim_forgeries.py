"""
Forged and unusual signatures, one row each, with the relay's reply.

Valid signatures made by other software are accepted.
"""

from __future__ import annotations

import smtplib
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.network import address4
from harness.stranger import MailServer
from people import messages
from people.dkim_by_hand import NAMES, Key, public, rsa_key, sign
from people.people import Person
from people.strangers import deliver

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay

DOMAIN = "forged.test"
VICTIM = "victim.test"
SILENT = "silent.test"
SILENT_NUMBER, CLOSED_NUMBER = 114, 113
SOMEBODY = f"someone@{DOMAIN}"
ENVELOPE = SOMEBODY

NONE = (554, "5.7.1 No DKIM signature found")
SIGNATURES, LONG_MESSAGES = 8, 48
WRONG = (554, "5.7.1 No valid DKIM signature found")
LATER = (451, "4.7.5 The DKIM key of the sending domain cannot be looked up now")
TAKEN = None


def author(why: str) -> tuple[int, str]:
    """Return the reply to a From field that does not contain exactly one address."""
    return (500, f"Invalid FROM header: {why}")


@dataclass(frozen=True)
class Keys:
    """The domain's keys; `zone` shows which are published, and how."""

    good: Key
    other: Key
    small: Key
    edwards: ed25519.Ed25519PrivateKey

    def zone(self) -> str:
        """Return the zone with every good and every bad record."""
        good = public(self.good)
        halves = f'"v=DKIM1; k=rsa; p={good[:100]}" "{good[100:]}"'
        letters = " ".join(f'"{letter}"' for letter in f"v=DKIM1;p={good}")
        return f"""
good._domainkey TXT {halves}
letters._domainkey TXT {letters}
spaced._domainkey TXT "  k = rsa ;; " "v=DKIM1 ; p = {good[:80]} " " {good[80:200]}" " {good[200:]} ; "
padded._domainkey TXT "v=DKIM1; k=rsa; p= {good[:60]} {good[60:190]}" " {good[190:]} ;"
escaped._domainkey TXT "v=DKIM1\\; k=rsa\\; p={good[:100]}" "{good[100:]}\\; n=a \\"quoted\\" note \\\\ and more"
bare._domainkey TXT "p={good[:200]}" "{good[200:]}"
small._domainkey TXT "v=DKIM1; k=rsa; p={public(self.small)}"
edwards._domainkey TXT "v=DKIM1; k=ed25519; p={public(self.edwards)}"
two._domainkey TXT "v=DKIM1; k=rsa; p={public(self.other)[:100]}" "{public(self.other)[100:]}"
two._domainkey TXT {halves}
wrongtwo._domainkey TXT "v=DKIM1; k=rsa; p={public(self.other)[:100]}" "{public(self.other)[100:]}"
wrongtwo._domainkey TXT "v=DKIM1; k=rsa; p="
alias._domainkey CNAME good._domainkey
dangling._domainkey CNAME nothing.{DOMAIN}.
revoked._domainkey TXT "v=DKIM1; k=rsa; p="
broken._domainkey TXT "v=DKIM1; k=rsa; p=this is not base64!"
cut._domainkey TXT "v=DKIM1; k=rsa; p={good[:120]}"
future._domainkey TXT "v=DKIM2; k=rsa; p={good[:100]}" "{good[100:]}"
twice._domainkey TXT "v=DKIM1; p={good[:100]}" "{good[100:]}; p={good[:100]}" "{good[100:]}"
web._domainkey TXT "v=DKIM1; s=web; p={good[:100]}" "{good[100:]}"
sha1only._domainkey TXT "v=DKIM1; h=sha1; p={good[:100]}" "{good[100:]}"
tagged._domainkey TXT "v=DKIM1;; x-foo=1; p={good[:100]}" "{good[100:]}"
strict._domainkey TXT "v=DKIM1; t=s; p={good[:100]}" "{good[100:]}"
foreign._domainkey TXT "v=spf1 -all"
address._domainkey A 192.0.2.1
mail TXT "a subdomain"
good._domainkey.mail TXT {halves}
{self.many()}
"""  # noqa: E501 - a record is a line

    def many(self) -> str:
        """Publish four keys under each of eight names, none of which has signed anything."""
        other = public(self.other)
        return "\n".join(
            f'many{name}._domainkey TXT "v=DKIM1; n={key}; p={other[:100]}" "{other[100:]}"'
            for name in range(SIGNATURES)
            for key in range(4)
        )


@pytest.fixture(scope="module")
def keys(lab: Lab) -> Keys:
    """Create keys and publish the zones; no test has the victim's key."""
    made = Keys(rsa_key(), rsa_key(), rsa_key(768), ed25519.Ed25519PrivateKey.generate())
    lab.dns.publish_zone_text(DOMAIN, made.zone())
    lab.dns.publish_zone_text(
        VICTIM,
        f'good._domainkey TXT "v=DKIM1; p={public(made.other)[:100]}" "{public(made.other)[100:]}"',
    )
    lab.dns.publish_zone_text(
        SILENT,
        f"slow._domainkey NS ns\nns A {address4(SILENT_NUMBER)}\n"
        f"closed._domainkey NS off\noff A {address4(CLOSED_NUMBER)}\n",
    )
    return made


Build = Callable[[Keys, bytes], bytes]


@dataclass(frozen=True)
class Row:
    """A changed honest message, and the expected reply (None: accepted)."""

    name: str
    reply: tuple[int, str] | None
    build: Build


def by(selector: str = "good", /, domain: str = DOMAIN, **options: object) -> Build:
    """Sign with the good key under this selector."""
    return lambda keys, mail: sign(mail, keys.good, domain, selector=selector, **options)  # type: ignore[arg-type]


def then(change: Callable[[bytes], bytes], first: Build | None = None) -> Build:
    """Sign, then change the message."""
    return lambda keys, mail: change((first or by())(keys, mail))


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Replace text once; it must be present."""

    def change(mail: bytes) -> bytes:
        assert old in mail, old
        return mail.replace(old, new, 1)

    return change


def written(field: str) -> Build:
    """Replace or omit the From field, and sign correctly."""
    old = f"From: <{SOMEBODY}>\r\n".encode()
    new = field.encode() + b"\r\n" if field else b""
    return lambda keys, mail: by()(keys, swap(old, new)(mail))


def before(field: str) -> Callable[[bytes], bytes]:
    """Add a field on top."""
    return lambda mail: field.encode() + b"\r\n" + mail


def after(field: str) -> Callable[[bytes], bytes]:
    """Add a field at the end of the header."""
    return swap(b"\r\n\r\n", b"\r\n" + field.encode() + b"\r\n\r\n")


def signed_again(keys: Keys, mail: bytes) -> bytes:
    """Add a service's signature above a good one."""
    return sign(by()(keys, mail), keys.other, VICTIM)


def among_wrong_ones(count: int) -> Build:
    """Put invalid signatures of the right domain above a good one."""

    def build(keys: Keys, mail: bytes) -> bytes:
        good = by()(keys, mail)
        wrong = sign(mail, keys.other, DOMAIN).partition(b"\r\n")[0] + b"\r\n"
        return wrong * count + good

    return build


def with_both_kinds(keys: Keys, mail: bytes) -> bytes:
    """Sign with RSA and Ed25519 (RFC 8463 5)."""
    edwards = sign(mail, keys.edwards, DOMAIN, selector="edwards", algorithm="ed25519-sha256")
    return by()(keys, mail).partition(b"\r\n")[0] + b"\r\n" + edwards


HOUR = 3600
APPENDED = b"\r\nand something else"
BODY_END = b"--\r\n"
NOW = int(time.time())

ROWS = [
    # Missing or foreign signatures.
    Row("none", NONE, lambda _, mail: mail),
    Row("misspelt-field", NONE, then(swap(b"DKIM-Signature:", b"DKIM-Signatur:"))),
    Row("empty-field", WRONG, lambda _, mail: b"DKIM-Signature: \r\n" + mail),
    Row("another-domain", WRONG, lambda keys, mail: sign(mail, keys.other, VICTIM)),
    Row("key-of-another", WRONG, lambda keys, mail: sign(mail, keys.other, DOMAIN)),
    Row("subdomain-signs", WRONG, by(domain=f"mail.{DOMAIN}")),
    Row("parent-signs", WRONG, written(f"From: <someone@mail.{DOMAIN}>")),
    Row("top-level-signs", WRONG, by(domain="test")),
    Row("lookalike-signs", WRONG, by(domain=f"{DOMAIN}.{VICTIM}")),
    Row("in-the-victims-name", WRONG, lambda keys, mail: sign(mail, keys.good, VICTIM)),
    # Times.
    Row("expired", WRONG, by(tags=(f"t={NOW - 2 * HOUR}", f"x={NOW - HOUR}"))),
    Row("time-is-no-number", WRONG, by(tags=("x=never",))),
    # Changed in transit.
    Row("body-altered", WRONG, then(swap(b"-----BEGIN", b"----- BEGIN"))),
    Row("body-appended", WRONG, then(lambda mail: mail + APPENDED)),
    Row("body-cut", WRONG, then(lambda mail: mail[:-40])),
    Row("subject-altered", WRONG, then(swap(b"Subject: [...]", b"Subject: [..]"))),
    Row("from-altered", WRONG, then(swap(b"From: <someone@", b"From: <somebody@"))),
    Row("date-removed", WRONG, then(swap(b"\r\nDate: ", b"\r\nX-Date: "))),
    Row(
        "second-from-above",
        author("2 From fields, wanted one"),
        then(before(f"From: <x@{VICTIM}>")),
    ),
    Row(
        "second-from-below", author("2 From fields, wanted one"), then(after(f"From: <x@{VICTIM}>"))
    ),
    Row("second-subject-below", WRONG, then(after("Subject: buy this"))),
    # l= allows additions.
    Row("l-and-more", WRONG, then(lambda mail: mail + APPENDED, by(length=200))),
    Row("l-of-nothing", WRONG, by(length=0)),
    Row("l-is-no-number", WRONG, by(tags=("l=all",))),
    # Tags.
    Row("sha1", WRONG, by(algorithm="rsa-sha1")),
    Row("unknown-algorithm", WRONG, by(algorithm="rsa-md5")),
    Row("from-not-signed", WRONG, by(names=NAMES[1:])),
    Row("no-version", WRONG, by(without=("v",))),
    Row("no-body-hash", WRONG, by(without=("bh",))),
    Row("tag-twice", WRONG, by(tags=(f"d={DOMAIN}",))),
    Row("i-of-another", WRONG, by(tags=(f"i=x@{VICTIM}",))),
    Row("b-is-garbage", WRONG, then(swap(b"; b=", b"; b=!!"))),
    # Keys in the DNS.
    Row("no-key", WRONG, by("unheard-of")),
    Row("revoked-key", WRONG, by("revoked")),
    Row("weak-key", WRONG, lambda keys, mail: sign(mail, keys.small, DOMAIN, selector="small")),
    Row("broken-key", WRONG, by("broken")),
    Row("cut-key", WRONG, by("cut")),
    Row("key-of-the-future", WRONG, by("future")),
    Row("key-with-two-p", WRONG, by("twice")),
    Row("key-for-the-web", WRONG, by("web")),
    Row("key-for-sha1", WRONG, by("sha1only")),
    Row("key-is-spf", WRONG, by("foreign")),
    Row("key-is-no-txt", WRONG, by("address")),
    Row("key-alias-to-nothing", WRONG, by("dangling")),
    Row("two-keys-both-wrong", WRONG, by("wrongtwo")),
    Row("strict-key-subdomain-identity", WRONG, by("strict", tags=(f"i=x@mail.{DOMAIN}",))),
    Row("rsa-key-called-ed25519", WRONG, by("good", algorithm="ed25519-sha256")),
    # Who is the author if From contains several addresses?
    Row("no-from", author("0 From fields, wanted one"), written("")),
    Row("empty-from", author(""), written("From: ")),
    Row("two-authors", author(""), written(f"From: <{SOMEBODY}>, <x@{VICTIM}>")),
    Row("group-author", author(""), written(f"From: friends: <{SOMEBODY}>;")),
    Row("address-as-display-name", author(""), written(f"From: x@{VICTIM} <{SOMEBODY}>")),
    Row("address-as-quoted-name", TAKEN, written(f'From: "x@{VICTIM}" <{SOMEBODY}>')),
    Row("two-pairs-of-brackets", author(""), written(f"From: <x@{VICTIM}> <{SOMEBODY}>")),
    Row("address-in-local-part", author(""), written(f'From: "x@{VICTIM}"@{DOMAIN}')),
    Row("victim-in-comment", WRONG, written(f"From: x@{VICTIM} ({SOMEBODY})")),
    Row("umlaut-in-domain", author("an address"), written("From: <someone@f\u00f6rged.test>")),
    Row("sharp-s-in-domain", author("an address"), written("From: <x@stra\u00dfe.test>")),
    Row("nul-in-from", author(""), written(f"From: <x@{VICTIM}\x01> <{SOMEBODY}>")),
    # Unusual, but valid.
    Row("plain", TAKEN, by()),
    Row("several-of-which-one-counts", TAKEN, signed_again),
    Row("wrong-ones-above-a-good-one", TAKEN, among_wrong_ones(5)),
    Row("more-wrong-ones-than-tried", WRONG, among_wrong_ones(12)),
    Row(
        "ed25519",
        TAKEN,
        lambda keys, mail: sign(
            mail, keys.edwards, DOMAIN, selector="edwards", algorithm="ed25519-sha256"
        ),
    ),
    Row("both-kinds", TAKEN, with_both_kinds),
    Row("domain-in-capitals", TAKEN, by(domain=DOMAIN.upper())),
    Row("key-letter-by-letter", TAKEN, by("letters")),
    Row("key-with-spaces", TAKEN, by("padded")),
    Row("key-escaped", TAKEN, by("escaped")),
    Row("key-with-nothing-but-p", TAKEN, by("bare")),
    Row("key-by-alias", TAKEN, by("alias")),
    Row("two-keys-one-right", TAKEN, by("two")),
    Row("not-expired", TAKEN, by(tags=(f"t={NOW - HOUR}", f"x={NOW + 24 * HOUR}"))),
    Row("unsigned-field-added", TAKEN, then(before("X-Spam: no"))),
    Row("signed-by-a-wrong-clock", TAKEN, by(tags=(f"t={NOW + HOUR}",))),
    Row("unknown-tags", TAKEN, by(tags=("x-mailru-src=smtp", "darn=corp.test"))),
    Row("key-with-unknown-tags", TAKEN, by("tagged")),
    Row("key-with-empty-tags", TAKEN, by("spaced")),
    Row(
        "l-of-everything", TAKEN, lambda keys, mail: by(length=len(messages.body(mail)))(keys, mail)
    ),
    # A missing DNS answer does not make a message invalid.
    Row("closed-name-server", LATER, lambda keys, mail: _of_silent(keys, mail, "closed")),
]


def _of_silent(keys: Keys, mail: bytes, selector: str) -> bytes:
    changed = swap(f"From: <{SOMEBODY}>".encode(), f"From: <someone@{SILENT}>".encode())(mail)
    return sign(changed, keys.good, SILENT, selector=selector)


@pytest.fixture(scope="module")
def reader(relay: Relay) -> Person:
    """The recipient of all these messages; the table is about senders."""
    return Person.on(relay)


def reply_to(reader: Person, mail: bytes) -> tuple[int, str] | None:
    """Deliver a message; return the reply at its end, or None if it was accepted."""
    try:
        deliver(reader.relay, mail, ENVELOPE, reader.address)
    except smtplib.SMTPDataError as error:
        text = error.smtp_error
        return error.smtp_code, text.decode() if isinstance(text, bytes) else text
    return None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_forgery_table(reader: Person, keys: Keys, row: Row) -> None:
    """Each row is a message of a forger or an unusual server, with the only right reply."""
    mail = messages.encrypted(SOMEBODY, reader.address)
    reply = reply_to(reader, row.build(keys, mail))

    if row.reply is None:
        assert reply is None
        reader.wait_for(mail)
    else:
        assert reply is not None, "it was taken"
        assert reply[0] == row.reply[0]
        assert reply[1].startswith(row.reply[1]), reply


@pytest.mark.parametrize(
    "field",
    [
        "Subject: buy this",
        f"To: <x@{VICTIM}>",
        "Content-Type: text/html",
        "Message-ID: <other@forged.test>",
        "MIME-Version: 2.0",
        "References: <other@forged.test>",
        "In-Reply-To: <other@forged.test>",
        "Autocrypt: addr=someone@forged.test; keydata=AAAA",
        "Secure-Join: vc-request",
        "Chat-Group-ID: abcdefghijk",
        f"Reply-To: <x@{VICTIM}>",
        f"Sender: <x@{VICTIM}>",
        "List-Id: <friends.forged.test>",
        "Auto-Submitted: auto-generated",
        "X-Spam: no",
    ],
)
def test_a_field_added_in_transit_does_not_arrive(reader: Person, keys: Keys, field: str) -> None:
    """Anyone with a signed message can deliver it again with additional fields."""
    mail = messages.encrypted(SOMEBODY, reader.address)
    changed = before(field)(by()(keys, mail))
    name, _, value = field.partition(": ")

    assert reply_to(reader, changed) is None
    arrived = reader.wait_for(mail)
    assert value not in messages.header(arrived, name)
    assert messages.header(arrived, name) == messages.header(mail, name)


def test_a_silent_name_server_defers_only_its_own_mail(reader: Person, keys: Keys) -> None:
    """A time-out causes a 4xx reply, before the sending server gives up waiting."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((address4(SILENT_NUMBER), 53))
        mail = messages.encrypted(SOMEBODY, reader.address)
        began = time.monotonic()
        assert reply_to(reader, _of_silent(keys, mail, "slow")) == LATER
        assert time.monotonic() - began < 45


def test_long_headers_with_many_signatures_hold_up_nobody(reader: Person, keys: Keys) -> None:
    """
    Each form of a header is made once, and little is hashed, however many keys there are.

    48 messages of 455 KB took 21 seconds of processor time, submissions 2.6 seconds, and the reply
    was that a key could not be looked up, because computing counted as waiting for the DNS.
    """
    field = "X-Fill: " + "\r\n ".join(["a " * 400] * 110) + "\r\n"
    names = ("from", *["x-fill"] * 5)
    mail = 5 * field.encode() + messages.encrypted(SOMEBODY, reader.address)
    for number in range(SIGNATURES):
        mail = sign(mail, keys.good, DOMAIN, selector=f"many{number}", names=names)
    assert len(mail) > 440_000
    with ThreadPoolExecutor(16) as pool:
        replies = [pool.submit(reply_to, reader, mail) for _ in range(LONG_MESSAGES)]
        own = messages.encrypted(reader.address, reader.address)
        reader.send(own, reader.address)
        assert {one.result() for one in replies} == {WRONG}
    reader.wait_for(own)


@pytest.mark.parametrize("header", ["simple", "relaxed"])
@pytest.mark.parametrize("body", ["simple", "relaxed"])
def test_accepts_signatures_of_dkimpy(reader: Person, keys: Keys, header: str, body: str) -> None:
    """Many servers use this library, with two canonicalizations (RFC 6376 3.4)."""
    mail = messages.encrypted(SOMEBODY, reader.address, fields=("X-Odd:  two  spaces\n\tfolded ",))
    pem = keys.good.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    field = dkim.sign(
        mail, b"good", DOMAIN.encode(), pem, canonicalize=(header.encode(), body.encode())
    )
    assert reply_to(reader, field + mail) is None
    reader.wait_for(mail)


@pytest.fixture(scope="module")
def opendkim(lab: Lab) -> MailServer:
    """A classic mail server whose milter signs."""
    return MailServer.up(lab, "classic.test")


@pytest.mark.parametrize(
    "canonicalization", ["simple/simple", "relaxed/relaxed", "simple/relaxed", "relaxed/simple"]
)
def test_accepts_signatures_of_opendkim(
    reader: Person, opendkim: MailServer, canonicalization: str
) -> None:
    """Most small mail servers use this milter; here it runs in a real Postfix."""
    opendkim.sign_as(canonicalization)
    sender = f"someone@{opendkim.domain}"
    for build in (messages.encrypted, messages.cleartext):
        mail = build(sender, reader.address)
        odd = swap(b"MIME-Version: 1.0", b"X-Odd:  two  spaces\r\n\tfolded \r\nMIME-Version: 1.0")
        opendkim.send(odd(mail), sender, reader.address)
        reader.wait_for(mail)
