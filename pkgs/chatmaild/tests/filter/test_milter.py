"""The running daemon, driven as Postfix drives it."""

import base64
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from chatmaild import numbers
from chatmaild.filter import keys

from . import mails
from .mails import ALICE, BOB, Header, crlf, split
from .milter_client import MilterClient, Result

DEADLINE_SECONDS = 20
MAX_SIZE = 300_000
KEY = rsa.generate_private_key(65537, 2048)
ENCRYPTION_NEEDED = "523 Encryption Needed: Invalid Unencrypted Mail"


@dataclass
class Filter:
    """A running chatmail-filter."""

    directory: Path
    process: subprocess.Popen[str]

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.directory / "filter.sock"

    def submit(self, mail: bytes, to: tuple[str, ...] = (BOB,), *, user: str = ALICE) -> Result:
        """Send through the submission service."""
        client = MilterClient(self.socket, "submission")
        result = client.send(*split(mail), sender=f"<{user}>", recipients=to, login=user)
        client.close()
        return result

    def receive(
        self,
        headers: list[Header],
        body: bytes,
        peer: tuple[str, int] = ("192.0.2.9", 4711),
        sender: str = BOB,
    ) -> Result:
        """Send through port 25."""
        client = MilterClient(self.socket, "incoming", peer)
        result = client.send(headers, body, sender=f"<{sender}>", recipients=(ALICE,))
        client.close()
        return result

    def stop(self) -> str:
        """Stop as systemd does, and return everything it logged."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=DEADLINE_SECONDS)
        return log


def start(directory: Path, settings: dict[str, Any]) -> Filter:
    """Start the daemon and wait until it says that it is ready."""
    (directory / "chatmaild.json").write_text(json.dumps(settings))
    der = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    zone = {
        "sel._domainkey.other.example.": ["v=DKIM1; p=" + base64.b64encode(der).decode()],
        "crash._domainkey.other.example.": ["crash"],
        "silence._domainkey.other.example.": ["silence"],
    }
    (directory / "zone.json").write_text(json.dumps(zone))
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind(str(directory / "notify.sock"))
    ready.settimeout(DEADLINE_SECONDS)
    process = subprocess.Popen(
        [
            sys.executable,
            Path(__file__).with_name("rigged_filter.py"),
            directory / "zone.json",
            "--config",
            directory / "chatmaild.json",
        ],
        env={
            **os.environ,
            "NOTIFY_SOCKET": str(directory / "notify.sock"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert ready.recv(100) == b"READY=1"
    except TimeoutError:
        process.kill()
        raise AssertionError(process.communicate()[1]) from None
    finally:
        ready.close()
        (directory / "notify.sock").unlink()
    return Filter(directory, process)


@pytest.fixture
def limits(settings: dict[str, Any]) -> dict[str, Any]:
    """Hand over settings with room for many sends and little else."""
    settings["sending"] = {"perMinute": 1, "burst": 1000, "maxRecipients": 3}
    settings["message"] = {"maxSize": MAX_SIZE}
    settings["incoming"] = {"cleartext": False}
    return settings


@pytest.fixture
def running(tmp_path: Path, limits: dict[str, Any]) -> Iterator[Filter]:
    """Hand over a running filter that refuses incoming cleartext."""
    instance = start(tmp_path, limits)
    yield instance
    instance.process.kill()
    instance.process.communicate()


def sign(mail: bytes, selector: bytes = b"sel") -> tuple[list[Header], bytes]:
    """Sign as other.example does."""
    key = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    headers, body = split(mail)
    message = dkim.DKIM()
    message.headers = [(name, value + b"\r\n") for name, value in headers]
    message.body = body
    field = message.sign(selector, b"other.example", key)
    return [(b"DKIM-Signature", field.partition(b":")[2].removesuffix(b"\r\n")), *headers], body


def test_a_submission_leaves_signed_and_without_traces(running: Filter) -> None:
    """What Postfix will deliver verifies with an independent implementation."""
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


def test_incoming_mail_is_verified_and_loses_its_history(running: Filter) -> None:
    """The Subject stays, the signature has done its work."""
    headers, body = sign(mails.encrypted(author=f"<{BOB}>", extra="Received: from x\n"))
    result = running.receive(headers, body)

    assert result.reply == "accept"
    assert result.values(b"DKIM-Signature") == result.values(b"Received") == []
    assert result.values(b"Subject") == [b"a telling subject"]
    assert result.sender is None


def test_an_envelope_that_nobody_vouches_for_gets_no_answer(running: Filter) -> None:
    """The message arrives, with the null sender in place of the victim of a bounce."""
    headers, body = sign(mails.encrypted(author=f"<{BOB}>"))
    result = running.receive(headers, body, sender="victim@elsewhere.example")

    assert (result.reply, result.sender) == ("accept", "<>")


def test_gives_every_reply_word_for_word(running: Filter) -> None:
    """Other people's test suites match on these texts."""
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
    """A lone one makes Postfix treat the whole reply as an error of the filter."""
    mail = mails.encrypted(author="<100%s%n@chat.example.org>")

    assert (
        running.submit(mail).reply == f"500 Invalid FROM <100%s%n@chat.example.org> for <{ALICE}>"
    )


def test_a_silent_dns_puts_the_mail_off(running: Filter) -> None:
    """A wrong verdict would bounce good mail."""
    reply = running.receive(*sign(mails.encrypted(author=f"<{BOB}>"), b"silence")).reply

    assert reply.startswith("451 4.7.5 ")


def test_a_bug_puts_the_mail_off_and_logs_no_content(running: Filter) -> None:
    """Whatever goes wrong, mail waits, and the log names a place in the code and nothing else."""
    reply = running.receive(*sign(mails.encrypted(author=f"<{BOB}>"), b"crash")).reply
    assert reply.startswith("451 4.3.0 ")
    assert running.submit(mails.encrypted()).reply == "accept"

    log = running.stop()
    assert "RuntimeError in eom at lookup:" in log
    assert "secret" not in log
    assert "example" not in log
    assert "Traceback" not in log


def test_the_rate_limit_answers_at_the_recipient(tmp_path: Path, limits: dict[str, Any]) -> None:
    """Clients look for it there; the login counts, and every recipient gets the same answer."""
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


def test_a_sender_that_is_not_the_login_burns_nobodys_budget(
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


def test_recipients_above_the_limit_are_put_off(running: Filter) -> None:
    """The client sends to them with another message; the first ones go out now."""
    result = running.submit(mails.encrypted(), tuple(f"u{i}@b.example" for i in range(5)))

    assert result.reply == "accept"
    assert result.recipients == {
        f"u{i}@b.example": "452 4.5.3 Too many recipients, the limit is 3" for i in (3, 4)
    }


def test_refuses_the_null_sender_on_submission(running: Filter) -> None:
    """Bounces are the relay's own to write."""
    client = MilterClient(running.socket, "submission")
    client.begin("<>", ALICE)

    assert client.recipient(BOB).startswith("553 5.7.1 <>: Sender address rejected: not owned by")
    client.close()


def test_signs_bounces_and_judges_them_not(running: Filter) -> None:
    """They come through Postfix's non_smtpd_milters: no SMTP, no port, no brackets."""
    client = MilterClient(running.socket, "internal", ("127.0.0.1", 0))
    mail = mails.report(author="MAILER-DAEMON@chat.example.org")
    result = client.send(*split(mail), sender="", recipients=(ALICE,))
    client.close()

    assert result.reply == "accept"
    assert result.headers[0][0] == b"DKIM-Signature"
    assert result.headers[1:] == [(n, v.replace(b"\r\n", b"\n")) for n, v in split(mail)[0]]


def test_signs_nothing_in_the_name_of_others(running: Filter) -> None:
    """A signature of ours under a stranger's From would be worth nothing and say too much."""
    client = MilterClient(running.socket, "internal", ("127.0.0.1", 0))
    result = client.send(*split(mails.cleartext(author=f"<{BOB}>")), sender="", recipients=(ALICE,))
    client.close()

    assert result.values(b"DKIM-Signature") == []


@pytest.mark.parametrize("name", ["chat.example.org", "internal"])
def test_an_smtp_service_without_a_role_lets_nothing_pass(running: Filter, name: str) -> None:
    """A name forgotten in Postfix's configuration must not open the relay to cleartext."""
    client = MilterClient(running.socket, name)
    result = client.send(*split(mails.cleartext()), sender=f"<{ALICE}>", recipients=(BOB,))
    client.close()

    assert result.reply.startswith("451 4.3.0 ")
    assert "milter_macro_daemon_name" in running.stop()


def test_messages_of_one_connection_do_not_mix(running: Filter) -> None:
    """Postfix keeps a connection for all mails of a session, aborted ones among them."""
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
    """Postfix should have refused it; the filter's memory does not rely on that."""
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
    """Postfix bounds each field, but neither their number nor their sum."""
    reply = running.submit(mails.encrypted(extra=extra)).reply

    assert reply == "500 Failed to parse message: the header is too long"


def test_survives_clients_that_speak_nonsense(running: Filter) -> None:
    """Whoever gets at the socket, the next Postfix must find the filter alive."""
    for noise in (b"\0\0\0\1", b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\2E", b""):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(running.socket))
            client.sendall(noise)
    vanishing = MilterClient(running.socket, "submission")
    vanishing.begin(f"<{ALICE}>", ALICE)
    vanishing.recipient(BOB)
    vanishing.socket.close()

    assert running.submit(mails.encrypted()).reply == "accept"


def test_the_socket_is_for_owner_and_group(running: Filter) -> None:
    """Postfix is in the group; nobody else may send signed mail."""
    assert stat.S_IMODE(running.socket.stat().st_mode) == 0o770


def test_starts_over_the_socket_of_a_killed_run(tmp_path: Path, limits: dict[str, Any]) -> None:
    """After a crash it is restarted, and nothing else removes the old socket."""
    first = start(tmp_path, limits)
    first.process.kill()
    first.process.communicate()
    second = start(tmp_path, limits)

    assert second.submit(mails.encrypted()).reply == "accept"
    second.stop()


def test_stops_cleanly_and_reports_numbers_without_names(running: Filter) -> None:
    """Exit code 0 on SIGTERM, or systemd would call every stop a failure."""
    running.submit(mails.encrypted())
    running.submit(mails.cleartext())
    running.receive(*sign(mails.report()))
    log = running.stop()

    assert running.process.returncode == 0
    assert (
        "incoming-accepted-report=1 signed=1 submission-accepted-encrypted=1"
        " submission-refused-unencrypted=1 verified=1"
    ) in log
    assert "example" not in log
    assert "192.0.2" not in log


def test_tells_its_numbers_to_whoever_may_ask(tmp_path: Path, limits: dict[str, Any]) -> None:
    """On a socket of its own, whose file is for the filter's user and group alone."""
    place = tmp_path / "numbers.sock"
    limits["metrics"] = {
        "accountsSocket": "/nonexistent",
        "filterSocket": str(place),
        "postqueue": "/nonexistent",
        "https": 1,
        "submissions": 2,
        "imaps": 3,
    }
    running = start(tmp_path, limits)
    running.submit(mails.encrypted())
    running.submit(mails.cleartext())
    first, second = numbers.ask(place), numbers.ask(place)
    running.stop()

    assert first == second
    assert first["submission-accepted-encrypted"] == 1
    assert first["submission-refused-unencrypted"] == 1
    assert stat.S_IMODE(place.stat().st_mode) == 0o660


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"dkimKey": "/nonexistent/dkim.pem"},
            "/nonexistent/dkim.pem: the DKIM key cannot be made",
        ),
        (
            {"filterSocket": "/nonexistent/f.sock"},
            "/nonexistent/f.sock: the socket cannot be opened",
        ),
    ],
)
def test_says_in_one_sentence_why_it_does_not_start(
    tmp_path: Path, limits: dict[str, Any], change: dict[str, str], sentence: str
) -> None:
    """The journal shows the operator this and no traceback."""
    limits["paths"] |= change
    (tmp_path / "chatmaild.json").write_text(json.dumps(limits))
    command = [sys.executable, "-m", "chatmaild.filter.milter", "--config"]
    result = subprocess.run(
        [*command, tmp_path / "chatmaild.json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )

    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
