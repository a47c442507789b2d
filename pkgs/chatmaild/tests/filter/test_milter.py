"""The running daemon's verdicts, when it is used as Postfix does."""

from pathlib import Path
from typing import Any

import dkim
import pytest

import mails
from chatmaild.signatures import keys
from mails import ALICE, BOB, crlf, split

from .milter_client import MilterClient
from .running_filter import MAX_SIZE, Filter, sign, start

ENCRYPTION_NEEDED = "523 Encryption Needed: Invalid Unencrypted Mail"


def test_a_submission_leaves_signed_and_without_traces(running: Filter) -> None:
    """An independent implementation verifies what Postfix will deliver."""
    mail = mails.encrypted(
        extra="User-Agent: One\nX-Folded: a\n\tb\nUser-Agent: Two\nReceived: from 192.0.2.1\n"
    )
    result = running.submit(mail)

    assert result.reply == "accept"
    assert result.values(b"Subject") == [b"[...]"]
    assert result.values(b"User-Agent") == result.values(b"Received") == []
    assert result.headers[0][0] == b"DKIM-Signature"
    delivered = b"".join(name + b":" + value + b"\n" for name, value in result.headers)
    record = keys.dns_record(keys.read(running.directory / "dkim.pem")).encode()
    raw = crlf(delivered) + b"\r\n" + split(mail)[1]
    assert dkim.verify(raw, dnsfunc=lambda _name, timeout: record)


def key(directory: Path, selector: str, *, signs: bool) -> dict[str, Any]:
    """Return the configuration of an Ed25519 key."""
    file = str(directory / f"{selector}.pem")
    entry = {"selector": selector, "kind": "ed25519", "file": file, "signs": signs}
    return entry | {"need": "recommended"}


def test_every_key_is_created_but_only_some_sign(tmp_path: Path, limits: dict[str, Any]) -> None:
    """A new key is published before its first signature, and an old one after its last."""
    limits["dkim"] += [key(tmp_path, "now", signs=True), key(tmp_path, "next", signs=False)]
    running = start(tmp_path, limits)
    signatures = running.submit(mails.encrypted()).values(b"DKIM-Signature")
    running.stop()

    selectors = {value.partition(b" s=")[2].partition(b";")[0] for value in signatures}
    assert len(signatures) == 2
    assert selectors == {b"opendkim", b"now"}
    assert keys.read(tmp_path / "next.pem", "ed25519")


def test_mail_of_other_programs_leaves_rebuilt_and_signed(running: Filter) -> None:
    """Postfix gets a new body and its Content-Type, and the signature covers these."""
    mail = mails.header(mails.ENCRYPTED, extra="Content-Description: a secret\n") + (
        b"\n" + mails.encrypted_body(before="a secret\n", data=mails.armor(headers="Comment: x\n"))
    )
    result = running.submit(mail)

    assert result.reply == "accept"
    assert result.body is not None
    assert result.values(b"Content-Description") == []
    (kind,) = result.values(b"Content-Type")
    assert result.body.split(b"\r\n")[1].removeprefix(b"--") in kind
    delivered = b"".join(name + b":" + value + b"\n" for name, value in result.headers)
    record = keys.dns_record(keys.read(running.directory / "dkim.pem")).encode()
    raw = crlf(delivered) + b"\r\n" + result.body
    assert b"secret" not in raw.lower().replace(b"[...]", b"")
    assert dkim.verify(raw, dnsfunc=lambda _name, timeout: record)


def test_what_chat_clients_write_is_not_touched(running: Filter) -> None:
    """A new body would make Postfix store a second copy."""
    assert running.submit(mails.encrypted()).body is None
    assert running.receive(*sign(mails.encrypted(author=f"<{BOB}>"))).body is None


def test_mail_of_other_programs_is_delivered_rebuilt(running: Filter) -> None:
    """Its signature is verified on the old body first."""
    mail = mails.encrypted(author=f"<{BOB}>").replace(b"\n\n\n--", b"\n\nin MIME format\n--", 1)
    result = running.receive(*sign(mail))

    assert result.reply == "accept"
    assert result.body is not None
    assert b"format" not in result.body


def test_incoming_mail_is_verified_and_loses_its_history(running: Filter) -> None:
    """The Subject stays; the signature is removed because it is verified."""
    headers, body = sign(mails.encrypted(author=f"<{BOB}>", extra="Received: from x\n"))
    result = running.receive(headers, body)

    assert result.reply == "accept"
    assert result.values(b"DKIM-Signature") == result.values(b"Received") == []
    assert result.values(b"Subject") == [b"a telling subject"]
    assert result.sender is None


def test_an_unauthenticated_envelope_gets_no_bounce(running: Filter) -> None:
    """The message arrives, but with the null sender, so that no bounce hits a victim."""
    headers, body = sign(mails.encrypted(author=f"<{BOB}>"))
    result = running.receive(headers, body, sender="victim@elsewhere.example")

    assert (result.reply, result.sender) == ("accept", "<>")


def test_gives_every_reply_word_for_word(running: Filter) -> None:
    """Other projects' test suites match these texts."""
    signed = sign(mails.encrypted(author=f"<{BOB}>"))
    changed = (signed[0], signed[1] + b"more\r\n")
    literal = split(mails.encrypted(author="<bob@[192.0.2.7]>"))

    assert running.submit(mails.cleartext()).reply == ENCRYPTION_NEEDED
    assert running.receive(*sign(mails.cleartext(author=f"<{BOB}>"))).reply == ENCRYPTION_NEEDED
    assert (
        running.submit(mails.encrypted(author="<eve@chat.example.org>")).reply
        == f"500 Invalid FROM <eve@chat.example.org> for <{ALICE}>"
    )
    assert (
        running.receive(*split(mails.encrypted(author=f"<{BOB}>"))).reply
        == "554 5.7.1 No DKIM signature found"
    )
    assert running.receive(*changed).reply == "554 5.7.1 No valid DKIM signature found"
    assert running.receive(*literal).reply == (
        "500 Invalid FROM domain literal: 192.0.2.7 does not match origin IP 192.0.2.9"
    )
    assert running.receive(*literal, ("192.0.2.7", 25)).reply == "accept"
    assert running.receive(*sign(mails.report())).reply == "accept"


def test_doubles_percent_signs_for_postfix(running: Filter) -> None:
    """A single one makes Postfix treat the whole reply as an error of the filter."""
    mail = mails.encrypted(author="<100%s%n@chat.example.org>")

    assert (
        running.submit(mail).reply == f"500 Invalid FROM <100%s%n@chat.example.org> for <{ALICE}>"
    )


def test_a_silent_dns_defers_the_mail(running: Filter) -> None:
    """A wrong verdict would bounce good mail."""
    reply = running.receive(*sign(mails.encrypted(author=f"<{BOB}>"), b"silence")).reply

    assert reply.startswith("451 4.7.5 ")


def test_a_bug_defers_the_mail_and_logs_no_content(running: Filter) -> None:
    """After any fault mail waits, and the log contains only the place in the code."""
    reply = running.receive(*sign(mails.encrypted(author=f"<{BOB}>"), b"crash")).reply
    assert reply.startswith("451 4.3.0 ")
    assert running.submit(mails.encrypted()).reply == "accept"

    log = running.stop()
    assert "RuntimeError at lookup:" in log
    assert "secret" not in log
    assert "example" not in log
    assert "Traceback" not in log


def test_the_rate_limit_answers_at_the_recipient(tmp_path: Path, limits: dict[str, Any]) -> None:
    """Clients expect it there. It counts per login, and every recipient gets the same answer."""
    limits["sending"] |= {"perMinute": 60, "burst": 10}
    instance = start(tmp_path, limits)
    results = [instance.submit(mails.encrypted(), (BOB, "eve@b.example")) for _ in range(11)]

    assert [result.recipients for result in results[:10]] == [{}] * 10
    assert set(results[10].recipients) == {BOB, "eve@b.example"}
    for reply in results[10].recipients.values():
        assert reply.startswith(f"450 4.7.1: Too much mail from <{ALICE}>, rate limited until ")
    other = mails.encrypted(author="<carol@chat.example.org>")
    assert instance.submit(other, user="carol@chat.example.org").reply == "accept"
    instance.stop()


def test_a_sender_that_is_not_the_login_uses_no_budget(
    tmp_path: Path, limits: dict[str, Any]
) -> None:
    """Postfix asks the filter at MAIL FROM before it compares sender and login."""
    limits["sending"] |= {"perMinute": 60, "burst": 1}
    instance = start(tmp_path, limits)
    client = MilterClient(instance.socket, "submission")
    for login in ("", "eve@chat.example.org"):
        client.begin(f"<{ALICE}>", login)
        assert client.recipient(BOB).startswith(f"553 5.7.1 <{ALICE}>: Sender address rejected: ")
    for _ in range(5):
        client.begin(f"<{ALICE}>", ALICE)

    assert client.recipient(BOB) == ""
    client.close()
    instance.stop()


def test_recipients_above_the_limit_are_deferred(running: Filter) -> None:
    """The client sends another message to them; the first ones leave now."""
    result = running.submit(mails.encrypted(), tuple(f"u{i}@b.example" for i in range(5)))

    assert result.reply == "accept"
    assert result.recipients == {
        f"u{i}@b.example": "452 4.5.3 Too many recipients, the limit is 3" for i in (3, 4)
    }


def test_refuses_the_null_sender_on_submission(running: Filter) -> None:
    """Only the relay writes bounces."""
    client = MilterClient(running.socket, "submission")
    client.begin("<>", ALICE)

    assert client.recipient(BOB).startswith("553 5.7.1 <>: Sender address rejected: not owned by")
    client.close()


def test_signs_bounces_without_judging_them(running: Filter) -> None:
    """They come through Postfix's non_smtpd_milters: without SMTP, port or brackets."""
    client = MilterClient(running.socket, "internal", ("127.0.0.1", 0))
    mail = mails.report(author="MAILER-DAEMON@chat.example.org")
    result = client.send(*split(mail), sender="", recipients=(BOB,))
    client.close()

    assert result.reply == "accept"
    assert result.headers[0][0] == b"DKIM-Signature"
    assert result.headers[1:] == [(n, v.replace(b"\r\n", b"\n")) for n, v in split(mail)[0]]


def test_signs_nothing_in_the_name_of_others(running: Filter) -> None:
    """The relay's signature under a stranger's From would be useless and reveal too much."""
    client = MilterClient(running.socket, "internal", ("127.0.0.1", 0))
    result = client.send(*split(mails.cleartext(author=f"<{BOB}>")), sender="", recipients=(ALICE,))
    client.close()

    assert result.values(b"DKIM-Signature") == []


@pytest.mark.parametrize("name", ["chat.example.org", "internal"])
def test_an_smtp_service_without_a_role_lets_nothing_pass(running: Filter, name: str) -> None:
    """A missing setting in Postfix's configuration must not open the relay to cleartext."""
    client = MilterClient(running.socket, name)
    result = client.send(*split(mails.cleartext()), sender=f"<{ALICE}>", recipients=(BOB,))
    client.close()

    assert result.reply.startswith("451 4.3.0 ")
    assert "milter_macro_daemon_name" in running.stop()


def test_messages_of_one_connection_do_not_mix(running: Filter) -> None:
    """Postfix uses one connection for all mail of a session, including aborted mail."""
    client = MilterClient(running.socket, "submission")
    options = {"sender": f"<{ALICE}>", "recipients": (BOB,), "login": ALICE}
    good, bad = split(mails.encrypted()), split(mails.cleartext())
    client.begin(f"<{ALICE}>", ALICE)
    client.recipient("eve@b.example")
    replies = [
        client.send(*mail, **options).reply  # type: ignore[arg-type]
        for mail in (good, bad, good, bad)
    ]
    client.close()

    assert replies == ["accept", ENCRYPTION_NEEDED] * 2


@pytest.mark.parametrize(
    ("size", "reply"),
    [
        (0, "accept"),
        (MAX_SIZE, "552 Message exceeds maximum size"),
        (4 * MAX_SIZE, "552 Message exceeds maximum size"),
    ],
)
def test_bounds_the_size_of_a_message(running: Filter, size: int, reply: str) -> None:
    """Postfix should have refused it; the filter's memory does not depend on that."""
    headers, body = split(mails.encrypted())
    client = MilterClient(running.socket, "submission")
    result = client.send(
        headers, body + b"x" * size, sender=f"<{ALICE}>", recipients=(BOB,), login=ALICE
    )
    client.close()

    assert result.reply == reply


@pytest.mark.parametrize(
    "extra", ["X: y\n" * 2000, ("X: " + "y" * 900 + "\n") * 700], ids=["many", "large"]
)
def test_bounds_the_header(running: Filter, extra: str) -> None:
    """Postfix limits each field, but neither their number nor their sum."""
    reply = running.submit(mails.encrypted(extra=extra)).reply

    assert reply == "500 Failed to parse message: the header is too long"
