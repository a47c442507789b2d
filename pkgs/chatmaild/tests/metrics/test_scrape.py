"""One connection to the exporter, by Prometheus or by an abusive client."""

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from chatmaild.config import Config, load
from chatmaild.metrics import scrape
from chatmaild.service import sockets
from running import run_daemon

HEADER = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1:3903\r\n\r\n"


def _answer_forever(listener: socket.socket) -> None:
    while True:
        with listener.accept()[0] as connection:
            connection.sendall(b'{"counts": [["messages_accepted", "submission", "encrypted", 5]]}')


@pytest.fixture
def config(tmp_path: Path, settings: dict[str, Any], sections: dict[str, dict[str, Any]]) -> Config:
    """Return a relay on which only the filter runs."""
    # A port without a listener.
    ports = {"https": 1, "submissions": 1, "imaps": 1}
    settings["metrics"] = sections["metrics"] | ports
    listener = sockets.listener("n", Path(sections["metrics"]["filterSocket"]), {})
    threading.Thread(target=_answer_forever, args=(listener,), daemon=True).start()
    (tmp_path / "chatmaild.json").write_text(json.dumps(settings))
    return load(tmp_path / "chatmaild.json")


def ask(config: Config, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send the parts of a request; return the whole response."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=scrape.answer, args=(theirs, config))
    thread.start()
    received = b""
    with ours:
        ours.settimeout(20)
        try:
            for part in parts:
                ours.sendall(part)
                time.sleep(pause)
            while more := ours.recv(65536):
                received += more
        except (BrokenPipeError, ConnectionResetError):
            pass  # It closed the connection.
    thread.join()
    return received


def test_metrics_are_text_for_prometheus(config: Config) -> None:
    """The response has the right length, and does not name the program."""
    head, _, body = ask(config, HEADER % b"/metrics").partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")

    assert lines[0] == b"HTTP/1.0 200 OK"
    assert b"Content-Type: text/plain; version=0.0.4; charset=utf-8" in lines
    assert f"Content-Length: {len(body)}".encode() in lines
    wanted = 'chatmail_messages_accepted_total{kind="encrypted",role="submission"} 5.0'
    assert wanted.encode() in body
    assert b'chatmail_service_up{service="filter"} 1.0' in body
    assert b'chatmail_service_up{service="accounts"} 0.0' in body
    assert b"Python" not in head


def test_health_names_what_is_down(config: Config) -> None:
    """A watchdog need not parse metrics."""
    answer = ask(config, HEADER % b"/health")

    assert answer.startswith(b"HTTP/1.0 503 ")
    assert answer.endswith(b"\r\n\r\ndown: accounts dovecot nginx postfix\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEADER % b"/", b"404"),
        (HEADER % b"/metrics/../../etc/passwd", b"404"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n", b"501"),
        (HEADER % (b"/" + b"x" * 70_000), b"414"),
        (b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 x y\r\n\r\n", b"400"),
    ],
    ids=["root", "up", "post", "long line", "long header", "tls"],
)
def test_other_requests_are_refused(config: Config, request_: bytes, status: bytes) -> None:
    """The answer is one or two lines, and nothing is collected."""
    answer = ask(config, request_)

    assert status in answer[:600]
    assert b"chatmail_" not in answer


def test_does_not_wait_for_a_silent_client(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open connection is the only cost."""
    monkeypatch.setattr(scrape, "REQUEST_SECONDS", 0.2)

    assert ask(config) == b""
    assert ask(config, b"GET /metr") == b""


def test_is_not_started_by_hand(tmp_path: Path, config: Config) -> None:
    """Without a connection there is no client."""
    assert config.metrics
    said = run_daemon("chatmaild.metrics.scrape", tmp_path / "chatmaild.json")

    assert said.returncode == 1
    assert said.stderr == ("chatmail-metrics: must be started by chatmail-metrics.socket\n")
