"""The daemon's socket, its start and its end."""

import asyncio
import contextlib
import json
import os
import select
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import mails
from chatmaild.config import load
from chatmaild.filter import server
from chatmaild.filter.pipeline import Pipeline
from chatmaild.postfix import milter_protocol
from chatmaild.service import counters
from conftest import RENDERED
from mails import ALICE, BOB, split

from .milter_client import MilterClient, Result
from .running_filter import DEADLINE_SECONDS, Filter, sign, start


class LateDns:
    """A name server that answers for `late._domainkey.other.example` only when allowed to."""

    def __init__(self, running: Filter) -> None:
        """Start without queries."""
        for name in ("asked", "late"):
            os.mkfifo(running.directory / name)
        self._asked, self._late = (
            os.open(running.directory / name, os.O_RDWR) for name in ("asked", "late")
        )

    def wait_for(self, questions: int) -> None:
        """Wait for this number of queries."""
        for _ in range(questions):
            assert select.select([self._asked], [], [], DEADLINE_SECONDS)[0]
            os.read(self._asked, 1)

    def answer(self) -> None:
        """Let all queries fail."""
        os.close(self._late)


@pytest.fixture
def late(running: Filter) -> LateDns:
    """Provide the name server of the running filter."""
    return LateDns(running)


def test_survives_clients_that_speak_nonsense(running: Filter) -> None:
    """Whoever opens the socket, the filter must work for the next Postfix process."""
    for noise in (
        b"\0\0\0\1",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\2E",
        b"\0\0\0\1M",
        b"\0\0\0\1E" * 100,
        b"",
    ):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(running.socket))
            client.sendall(noise)
    vanishing = MilterClient(running.socket, "submission")
    vanishing.begin(f"<{ALICE}>", ALICE)
    vanishing.recipient(BOB)
    vanishing.socket.close()

    assert running.submit(mails.encrypted()).reply == "accept"


def test_disconnects_peers_that_do_not_speak_the_protocol(running: Filter) -> None:
    """Postfix then defers the mail; the log has a reason, but none of the data."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE_SECONDS)
        client.connect(str(running.socket))
        client.sendall(b"GET /secret HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""

    log = running.stop()
    assert "not the milter protocol: a packet of 1195725856 octets" in log
    assert "secret" not in log


def test_disconnects_peers_that_read_no_answers(running: Filter) -> None:
    """Answers must not pile up."""
    client = MilterClient(running.socket, "submission")
    client.begin(f"<{ALICE}>", ALICE)
    client.flush()
    rcpts = milter_protocol.packet(b"R", b"<a@b>\0") * 1_000_000
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.socket.sendall(rcpts)
    client.socket.close()

    assert running.submit(mails.encrypted()).reply == "accept"
    assert "does not read its answers" in running.stop()


def test_a_new_body_may_exceed_the_limit_of_unread_answers(
    tmp_path: Path, limits: dict[str, Any]
) -> None:
    """The connection continues after it."""
    size = 3_000_000
    limits["message"] = {"maxSize": 2 * size}
    instance = start(tmp_path, limits)
    packets = mails.PKESK + mails.packet(18, b"\x01" + mails.noise(size))
    mail = mails.header(mails.ENCRYPTED) + b"\n"
    mail += mails.encrypted_body(mails.armor(packets), before="in MIME format\n")
    client = MilterClient(instance.socket, "submission")
    for _ in range(3):
        result = client.send(*split(mail), sender=f"<{ALICE}>", recipients=(BOB,), login=ALICE)
        assert result.reply == "accept"
        assert result.body is not None
        assert len(result.body) > size * 4 // 3
    client.close()
    instance.stop()


def test_a_new_body_takes_memory_until_it_is_read(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a peer that does not read could make the filter hold one body after another."""
    size = 3_000_000
    monkeypatch.setattr(server, "ROOM_BYTES", 0)
    settings["message"] = {"maxSize": size * 3 // 2}
    (tmp_path / "chatmaild.json").write_text(json.dumps(settings))
    pipeline = Pipeline(load(tmp_path / "chatmaild.json"), None, lambda _name, _seconds: [])
    path = tmp_path / "filter.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    packets = mails.PKESK + mails.packet(18, b"\x01" + mails.noise(size))
    headers, body = split(
        mails.header(mails.ENCRYPTED).replace(b"\n ", b" ")
        + b"\n"
        + mails.encrypted_body(mails.armor(packets), before="in MIME format\n")
    )

    def submit() -> MilterClient:
        client = MilterClient(path, "submission")
        client.begin(f"<{ALICE}>", ALICE)
        client.recipient(BOB)
        client.content(headers, body)
        assert select.select([client.socket], [], [], DEADLINE_SECONDS)[0]
        return client

    def read(client: MilterClient) -> str:
        result = Result("", list(headers))
        client.finish(result)
        client.close()
        return result.reply

    def claims() -> None:
        # A quarter of the budget is reserved for small messages, so three of these fit.
        unread = [submit() for _ in range(3)]
        assert read(submit()).startswith("452 4.3.1 ")
        assert [read(client) for client in unread] == ["accept"] * 3
        assert read(submit()) == "accept"

    async def serve() -> None:
        serving = await server.serve(pipeline, listener)
        await asyncio.to_thread(claims)
        serving.close()

    asyncio.run(serve())


@pytest.mark.parametrize("service", ["submission", "incoming"])
def test_a_thousand_long_names_are_all_deleted(
    tmp_path: Path, limits: dict[str, Any], service: str
) -> None:
    """An answer longer than a socket buffer was once mistaken for an unread one."""
    limits["message"] = {"maxSize": 1_000_000}
    running = start(tmp_path, limits)
    extra = "".join(f"X-Client-{number}-{'x' * 480}: a\n" for number in range(980))
    if service == "submission":
        result = running.submit(mails.encrypted(extra=extra))
    else:
        result = running.receive(*sign(mails.encrypted(author=f"<{BOB}>", extra=extra)))

    assert result.reply == "accept"
    assert not [name for name, _ in result.headers if name.startswith(b"X-Client-")]
    assert "Traceback" not in running.stop()


def test_mail_that_waits_for_the_dns_delays_no_other(running: Filter, late: LateDns) -> None:
    """Anyone can have a name server that does not answer."""
    mail = sign(mails.encrypted(author=f"<{BOB}>"), b"late")
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(running.receive, *mail) for _ in range(5)]
        late.wait_for(5)
        others = [running.submit(mails.encrypted()), running.receive(*sign(mails.report()))]
        done = [one.done() for one in waiting]
        late.answer()

    assert [one.reply for one in others] == ["accept", "accept"]
    assert done == [False] * 5
    assert {one.result().reply[:9] for one in waiting} == {"451 4.7.5"}


def say_message(running: Filter, selector: bytes) -> MilterClient:
    """Send all of a message except its end."""
    headers, body = sign(mails.encrypted(author=f"<{BOB}>"), selector)
    client = MilterClient(running.socket, "incoming")
    client.begin(f"<{BOB}>")
    client.recipient(ALICE)
    for name, value in headers:
        client.command(b"L", name + b"\0" + value.replace(b"\r\n", b"\n") + b"\0")
    client.command(b"B", body)
    return client


def begin_judgement(running: Filter, late: LateDns) -> MilterClient:
    """Send a whole message whose verdict then waits for the DNS."""
    client = say_message(running, b"late")
    client.unsent += milter_protocol.packet(b"E")
    client.flush()
    late.wait_for(1)
    return client


def test_a_client_may_leave_while_its_mail_is_judged(running: Filter, late: LateDns) -> None:
    """Postfix gives up after a minute; then the verdict is dropped."""
    begin_judgement(running, late).socket.close()
    late.answer()

    assert running.submit(mails.encrypted()).reply == "accept"
    log = running.stop()
    assert "Traceback" not in log
    assert "ERROR" not in log


def test_the_messages_of_a_connection_come_one_after_the_other(running: Filter) -> None:
    """A command before the verdict would change what is judged."""
    client = say_message(running, b"sel")
    client.unsent += milter_protocol.packet(b"E") * 2
    client.flush()
    with contextlib.suppress(ConnectionResetError):
        assert client.socket.recv(100) == b""
    client.socket.close()

    assert "a command before the answer to the last one" in running.stop()


def test_stops_at_once_while_a_message_is_judged(running: Filter, late: LateDns) -> None:
    """The sender tries again; a restart must not wait for the slowest name server."""
    client = begin_judgement(running, late)
    log = running.stop()

    assert running.process.returncode == 0
    assert client.socket.recv(100) == b""
    client.socket.close()
    assert "Traceback" not in log


def test_the_socket_is_for_owner_and_group(running: Filter) -> None:
    """Postfix is in the group; other users must not be able to send signed mail."""
    assert stat.S_IMODE(running.socket.stat().st_mode) == 0o660


def test_starts_over_the_socket_of_a_killed_run(tmp_path: Path, limits: dict[str, Any]) -> None:
    """After a crash nothing else removes the old socket."""
    first = start(tmp_path, limits)
    first.process.kill()
    first.process.communicate()
    second = start(tmp_path, limits)

    assert second.submit(mails.encrypted()).reply == "accept"
    second.stop()


def test_stops_cleanly_and_logs_counters_without_names(running: Filter) -> None:
    """SIGTERM gives exit code 0; otherwise systemd would report every stop as a failure."""
    running.submit(mails.encrypted())
    running.submit(mails.cleartext())
    running.receive(*sign(mails.report()))
    log = running.stop()

    assert running.process.returncode == 0
    assert (
        "dkim_signed=1 dkim_verified=1 messages_accepted.incoming.report=1"
        " messages_accepted.submission.encrypted=1 messages_refused.submission.unencrypted=1"
    ) in log
    assert "example" not in log
    assert "192.0.2" not in log


def test_provides_its_counters_on_a_socket(tmp_path: Path, limits: dict[str, Any]) -> None:
    """The socket file is only for the filter's user and group."""
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
    first, second = counters.read(place), counters.read(place)
    mode = stat.S_IMODE(place.stat().st_mode)
    running.stop()

    assert first == second
    assert ["messages_accepted", "submission", "encrypted", 1] in first["counts"]
    assert ["messages_refused", "submission", "unencrypted", 1] in first["counts"]
    assert mode == 0o660


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"dkim": [RENDERED["smallest"]["dkim"][0] | {"file": "/nonexistent/dkim.pem"}]},
            "/nonexistent/dkim.pem: the DKIM key cannot be created",
        ),
        (
            {"paths": {"filterSocket": "/nonexistent/f.sock"}},
            "/nonexistent/f.sock: cannot be opened: No such file or directory",
        ),
    ],
    ids=["key", "socket"],
)
def test_says_in_one_sentence_why_it_does_not_start(
    tmp_path: Path, limits: dict[str, Any], change: dict[str, Any], sentence: str
) -> None:
    """The operator reads it in the journal, without a traceback."""
    for key, value in change.items():
        limits[key] = limits[key] | value if isinstance(value, dict) else value
    (tmp_path / "chatmaild.json").write_text(json.dumps(limits))
    program = "import sys; from chatmaild.filter.milter import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "--config"]
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
