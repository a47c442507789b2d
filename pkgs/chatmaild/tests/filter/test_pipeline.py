"""One message through the whole filter: refusals, and what is left of accepted mail."""

import json
from pathlib import Path
from typing import Any

import dkim
import pytest

import mails
from chatmaild.config import load
from chatmaild.filter.pipeline import Pass, Pipeline
from chatmaild.filter.policy import Envelope, Refuse, Role
from chatmaild.signatures import keys
from chatmaild.signatures.signing import Signer
from mails import ALICE, BOB, Header, split

from .edits import apply
from .running_filter import KEY, sign

DOMAIN = "chat.example.org"
ZONE = {
    f"{selector}._domainkey.{domain}.": [keys.dns_record(KEY).encode()]
    for selector, domain in (("sel", "other.example"), ("own", DOMAIN))
}
SIGNER = Signer(DOMAIN, {"own": KEY})


@pytest.fixture
def pipeline(tmp_path: Path, settings: dict[str, Any]) -> Pipeline:
    """Provide the filter of a relay that accepts cleartext from outside."""
    (tmp_path / "chatmaild.json").write_text(json.dumps(settings))
    config = load(tmp_path / "chatmaild.json")
    return Pipeline(config, SIGNER, lambda name, _seconds: ZONE.get(name, []))


def receive(
    pipeline: Pipeline, headers: list[Header], body: bytes, sender: str = BOB
) -> list[Header] | str:
    """Receive a message from outside; return the delivered header, or the reply."""
    envelope = Envelope(sender, (ALICE,), "", "192.0.2.9")
    result = pipeline.finish(Role.INCOMING, envelope, headers, body)
    if isinstance(result, Refuse):
        return str(result.reply)
    assert isinstance(result, Pass)
    return apply(headers, result.edits)


def own(mail: bytes) -> tuple[list[Header], bytes]:
    """Sign as the relay itself does."""
    headers, body = split(mail)
    return [(b"DKIM-Signature", SIGNER.sign(headers, body)[0]), *headers], body


@pytest.mark.parametrize(
    "field",
    [
        "Autocrypt: addr=bob@other.example; keydata=AAAA",
        "Secure-Join: vc-request",
        "Chat-Group-ID: abcdefghijk",
        "Reply-To: <mallory@evil.example>",
        "Sender: <mallory@evil.example>",
        "List-Id: <friends.evil.example>",
        "In-Reply-To: <x@y>",
        "References: <a@b>",
        "Auto-Submitted: auto-generated",
        "Subject: another",
        "MIME-Version: 2.0",
        "Content-Type: text/html",
    ],
)
def test_a_field_that_the_author_did_not_sign_is_not_delivered(
    pipeline: Pipeline, field: str
) -> None:
    """A signed message can be sent again with anything above it."""
    name, _, value = field.partition(":")
    headers, body = sign(mails.cleartext(author=f"<{BOB}>"))
    delivered = receive(pipeline, [(name.encode(), value.encode()), *headers], body)

    assert delivered == headers[1:]


@pytest.mark.parametrize("value", [b"x" * 2000, b" a\rFrom: <mallory@evil.example>", b" a\0b"])
def test_a_field_that_is_removed_may_be_of_any_form(pipeline: Pipeline, value: bytes) -> None:
    """Only fields that leave must survive transport; some programs write very long others."""
    headers, body = split(mails.encrypted())
    envelope = Envelope(ALICE, (BOB,), ALICE, "192.0.2.9")
    result = pipeline.finish(Role.SUBMISSION, envelope, [*headers, (b"X-Index", value)], body)

    assert isinstance(result, Pass)
    assert b"X-Index" not in dict(apply([*headers, (b"X-Index", value)], result.edits))


def test_a_line_that_transport_would_break_does_not_leave(pipeline: Pipeline) -> None:
    """Postfix would break it after signing."""
    to = ", ".join(f"<someone{n}@other.example>" for n in range(60))
    headers, body = split(mails.encrypted(to=to))
    envelope = Envelope(ALICE, (BOB,), ALICE, "192.0.2.9")
    result = pipeline.finish(Role.SUBMISSION, envelope, headers, body)

    assert isinstance(result, Refuse)
    assert "998 octets" in str(result.reply)


def test_two_fields_of_one_name_are_no_reason_to_refuse(pipeline: Pipeline) -> None:
    """Such mail exists, signed or unsigned; one of the fields is delivered."""
    twice = mails.cleartext(author=f"<{BOB}>", extra="Mime-Version: 1.0\nReferences: <a@b>\n" * 2)
    delivered = receive(pipeline, *sign(twice))

    assert isinstance(delivered, list)
    assert [name.lower() for name, _ in delivered].count(b"mime-version") == 1
    assert [name.lower() for name, _ in delivered].count(b"references") <= 1


def test_accepts_its_own_mail_from_a_forwarding_server(pipeline: Pipeline) -> None:
    """Members of mailing lists and users of forwarding servers may be on this relay."""
    assert isinstance(receive(pipeline, *own(mails.encrypted()), "list@other.example"), list)
    assert isinstance(receive(pipeline, *own(mails.secure_join()), "list@other.example"), list)


@pytest.mark.parametrize(
    "mail",
    [
        mails.report(author=f"Mail Delivery System <MAILER-DAEMON@{DOMAIN}>"),
        mails.cleartext(author=f"<MAILER-DAEMON@{DOMAIN}>"),
        mails.cleartext(author=f"<{ALICE}>"),
    ],
)
def test_refuses_its_own_bounce_from_outside(pipeline: Pipeline, mail: bytes) -> None:
    """Others can choose words in it, and the relay signed them."""
    assert receive(pipeline, *own(mail)) == (
        "550 5.7.1 This relay does not accept its own unencrypted mail from outside"
    )


@pytest.mark.parametrize(
    "name", ["in-idn-fullwidth", "in-idn-sharp-s-right", "in-idn-sharp-s-signed-by-ss"]
)
def test_refuses_an_author_that_is_not_ascii(pipeline: Pipeline, name: str) -> None:
    """IDNA2003 and IDNA2008 map it to names of different owners, so a stranger could sign it."""
    mail = (Path(__file__).parent / "interop" / f"{name}.eml").read_bytes()

    assert receive(pipeline, *split(mail)) == (
        "500 Invalid FROM header: an address that is not ASCII"
    )


@pytest.mark.parametrize(
    ("recipients", "signatures"),
    [((ALICE,), 0), ((ALICE.upper(), f"carol@{DOMAIN}"), 0), ((BOB,), 1), ((ALICE, BOB), 1)],
)
def test_only_what_leaves_the_relay_is_signed(
    pipeline: Pipeline, recipients: tuple[str, ...], signatures: int
) -> None:
    """In a local mailbox a signature would be 800 octets that reveal the time of sending."""
    for role, sender, mail in (
        (Role.SUBMISSION, ALICE, mails.encrypted()),
        (Role.INTERNAL, "", mails.report(author=f"<MAILER-DAEMON@{DOMAIN}>")),
    ):
        result = pipeline.finish(role, Envelope(sender, recipients, sender, ""), *split(mail))

        assert isinstance(result, Pass)
        assert len(result.signatures) == signatures


def test_dkimpy_verifies_what_leaves(pipeline: Pipeline) -> None:
    """The signature covers the cleaned message."""
    headers, body = split(mails.encrypted(extra="X-Mailer: b\n"))
    envelope = Envelope(ALICE, (BOB,), ALICE, "")
    result = pipeline.finish(Role.SUBMISSION, envelope, headers, body)
    assert isinstance(result, Pass)
    left = [(b"DKIM-Signature", result.signatures[0]), *apply(headers, result.edits)]
    raw = b"".join(name + b":" + value + b"\r\n" for name, value in left) + b"\r\n" + body

    assert dkim.verify(raw, dnsfunc=lambda name, timeout: ZONE[name.decode()][0])
