"""One connection from Postfix: what it keeps, what it forgets, and what happens on errors."""

import json
from pathlib import Path
from typing import Any

import pytest

import mails
from chatmaild.config import load
from chatmaild.filter import session
from chatmaild.filter.pipeline import Pipeline
from chatmaild.filter.policy import Role
from chatmaild.filter.session import Judging, MemoryBudget, Session
from chatmaild.postfix import milter_protocol
from chatmaild.postfix.milter_protocol import MilterProtocolError
from mails import ALICE, BOB, split

SPACE = 1_200_000
MAX_SIZE = 300_000


def no_dns(name: str, _seconds: float) -> list[bytes]:
    """Look up no record."""
    return []


class Postfix:
    """Postfix's side of one session."""

    def __init__(
        self, pipeline: Pipeline, rooms: dict[Role, MemoryBudget], daemon: bytes = b"submission"
    ) -> None:
        """Connect as one of the services, for a client on the internet."""
        self.session = Session(pipeline, rooms)
        self.say("D", b"C{daemon_name}\0" + daemon + b"\0")
        self.say("C", b"unknown\x004\x12\x67192.0.2.9\0")

    def say(self, command: str, data: bytes = b"") -> bytes:
        """Send one command; return the answer."""
        answer = self.session.handle(ord(command), data)
        if not isinstance(answer, bytes):
            answer = self.session.judged(answer())
        return answer

    def begin(self, login: str = ALICE, sender: str = ALICE) -> bytes:
        """Send the envelope; return the answer to the recipient."""
        if login:
            self.say("D", b"M{auth_authen}\0" + login.encode() + b"\0")
        self.say("M", f"<{sender}>\0SIZE=9\0".encode())
        return self.say("R", f"<{BOB}>\0".encode())

    def content(self, mail: bytes) -> None:
        """Send header and body."""
        headers, body = split(mail)
        for name, value in headers:
            self.say("L", name + b"\0" + value.replace(b"\r\n", b"\n") + b"\0")
        self.say("B", body)


@pytest.fixture
def pipeline(tmp_path: Path, settings: dict[str, Any]) -> Pipeline:
    """Provide a pipeline that signs nothing."""
    settings["message"] = {"maxSize": MAX_SIZE}
    (tmp_path / "chatmaild.json").write_text(json.dumps(settings))
    return Pipeline(load(tmp_path / "chatmaild.json"), None, no_dns)


@pytest.fixture
def rooms() -> dict[Role, MemoryBudget]:
    """Provide memory for three large messages per role."""
    return {role: MemoryBudget(SPACE) for role in Role}


@pytest.fixture
def postfix(pipeline: Pipeline, rooms: dict[Role, MemoryBudget]) -> Postfix:
    """Provide a connection of the submission service."""
    return Postfix(pipeline, rooms)


def text(answer: bytes) -> str:
    """Read the last packet of an answer: one letter, and a reply if it has one."""
    packet = list(milter_protocol.Reader().feed(answer))[-1]
    return (chr(packet[0]) + packet[1].rstrip(b"\0").decode()).removeprefix("y")


def test_a_login_is_good_for_one_message(postfix: Postfix) -> None:
    """A login that Postfix does not repeat is no longer valid."""
    assert text(postfix.begin()) == "c"
    assert text(postfix.begin(login="")).startswith(f"553 5.7.1 <{ALICE}>: Sender address rejected")
    postfix.say("D", b"M{auth_authen}\0" + ALICE.encode() + b"\0")
    postfix.say("A")
    assert text(postfix.begin(login="")).startswith("553 ")


def test_the_next_client_of_a_connection_is_a_stranger(postfix: Postfix) -> None:
    """Nothing is left of the first one: neither its service nor its login."""
    postfix.begin()
    postfix.say("K")
    postfix.say("C", b"unknown\x004\x12\x67192.0.2.9\0")

    assert text(postfix.begin()) == "451 4.3.0 Internal error of the mail filter, try again later"


@pytest.mark.parametrize("end", ["A", "E", "K", "lost", "refused"])
def test_memory_is_released_however_a_message_ends(
    postfix: Postfix, rooms: dict[Role, MemoryBudget], end: str
) -> None:
    """Otherwise a relay would accept no mail after a while."""
    postfix.begin()
    postfix.content(mails.cleartext() if end == "refused" else mails.encrypted())
    assert rooms[Role.SUBMISSION].left < SPACE
    if end == "lost":
        postfix.session.forget()
    else:
        postfix.say("E" if end == "refused" else end)

    assert rooms[Role.SUBMISSION].left == SPACE


def test_many_large_messages_at_once_are_deferred(
    pipeline: Pipeline, rooms: dict[Role, MemoryBudget]
) -> None:
    """They would use up all memory; one that ends makes room for the next."""
    all_of_them = [Postfix(pipeline, rooms) for _ in range(5)]
    for one in all_of_them:
        one.begin()
        one.content(mails.encrypted())
        for _ in range(4):
            one.say("B", b"x" * 65_535)
    answers = [text(one.say("E"))[:3] for one in all_of_them]

    assert answers == ["a", "a", "a", "452", "452"]
    assert rooms[Role.SUBMISSION].left == SPACE


def test_large_mail_of_strangers_leaves_room_for_small_and_for_the_relays_own(
    pipeline: Pipeline, rooms: dict[Role, MemoryBudget]
) -> None:
    """Anyone with a silent name server could otherwise delay all other mail for a minute."""
    strangers = [Postfix(pipeline, rooms, b"incoming") for _ in range(5)]
    for one in strangers:
        one.begin(login="")
        for _ in range(4):
            one.say("B", b"x" * 65_535)
        one.say("B", b"x" * 10_000)
    small, own = Postfix(pipeline, rooms, b"incoming"), Postfix(pipeline, rooms)
    for one in (small, own):
        one.begin()
        one.content(mails.encrypted())

    assert [text(one.say("E"))[:3] for one in strangers[3:]] == ["452", "452"]
    assert text(small.say("E")) == "554 5.7.1 No DKIM signature found"
    assert text(own.say("E")) == "a"


def test_what_is_refused_is_not_held(postfix: Postfix, rooms: dict[Role, MemoryBudget]) -> None:
    """The rest of a message that is too large is dropped."""
    postfix.begin()
    for _ in range(10):
        postfix.say("B", b"x" * 65_535)

    assert rooms[Role.SUBMISSION].left == SPACE
    assert text(postfix.say("E")) == "552 Message exceeds maximum size"


def test_the_last_piece_may_come_with_the_end(postfix: Postfix) -> None:
    """Sendmail sends it like that, and a truncated body would be another message."""
    headers, body = split(mails.encrypted())
    postfix.begin()
    for name, value in headers:
        postfix.say("L", name + b"\0" + value.replace(b"\r\n", b"\n") + b"\0")

    assert text(postfix.say("E", body)) == "a"


def test_slow_judging_is_returned_to_the_caller(
    pipeline: Pipeline, rooms: dict[Role, MemoryBudget]
) -> None:
    """Small mail of local users is judged at once: a thread would cost more than judging."""
    judged: list[bytes | Judging] = []
    large = mails.encrypted() + b"x" * session.LARGE_BYTES
    for daemon, mail in (
        (b"submission", mails.encrypted()),
        (b"submission", large),
        (b"incoming", b""),
    ):
        one = Postfix(pipeline, rooms, daemon)
        one.begin()
        one.content(mail or mails.encrypted())
        judged.append(one.session.handle(milter_protocol.END, b""))

    assert [isinstance(answer, bytes) for answer in judged] == [True, False, False]


def test_a_fault_in_the_middle_is_answered_at_the_end(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Postfix accepts no answer earlier, and the mail must not pass."""

    def fail(_data: bytes) -> list[bytes]:
        raise RuntimeError("secret")

    monkeypatch.setattr(milter_protocol, "strings", fail)
    assert postfix.say("M", b"<a@b>\0") == b""
    assert text(postfix.say("R", b"<a@b>\0")).startswith("451 4.3.0 ")
    assert text(postfix.say("E")).startswith("451 4.3.0 ")
    assert "RuntimeError at " in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("command", ["R", "L", "B", "E"])
@pytest.mark.parametrize("before", ["", "A", "E"])
def test_a_message_without_mail_from_ends_the_connection(
    postfix: Postfix, before: str, command: str
) -> None:
    """It would count as local mail."""
    if before:
        postfix.begin()
        postfix.content(mails.encrypted())
        postfix.say(before)
    with pytest.raises(MilterProtocolError, match="without MAIL FROM"):
        postfix.say(command, b"X\0y\0")


@pytest.mark.parametrize("command", ["C", "D"])
def test_a_fault_with_the_client_ends_the_connection(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """MAIL would reset the refusal, and a stranger could count as a local user."""

    def fail(_data: bytes) -> list[bytes]:
        raise RuntimeError("secret")

    monkeypatch.setattr(milter_protocol, "strings", fail)
    with pytest.raises(MilterProtocolError, match="error with the client"):
        postfix.say(command, b"C\x004\0\x19192.0.2.9\0")


@pytest.mark.parametrize("command", ["T", "U", "\0", "q"])
def test_a_command_that_was_declined_ends_the_connection(postfix: Postfix, command: str) -> None:
    """The client waits for an answer that the filter does not know."""
    with pytest.raises(MilterProtocolError, match=f"command 0x{ord(command):02x}"):
        postfix.say(command)
