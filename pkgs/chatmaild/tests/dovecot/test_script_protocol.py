"""Requests of Dovecot's `script` service."""

import socket

import pytest

from chatmaild.dovecot import script_protocol
from chatmaild.dovecot.script_protocol import parse

REQUEST = b"VERSION\tscript\t4\t0\nnoreply\nalice0000@chat.example.org\n\n"


def test_understands_dovecots_request() -> None:
    """The request is as Dovecot 2.4.1 sends it (src/lib-program-client/program-client-remote.c)."""
    assert parse(REQUEST) == "alice0000@chat.example.org"
    assert parse(REQUEST.replace(b"noreply", b"env_HOME=/\nnoreply")) is not None


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"\n\n",
        REQUEST[:-1],
        REQUEST.replace(b"script", b"auth"),
        REQUEST.replace(b"\t4\t", b"\t5\t"),
        REQUEST.replace(b"noreply", b"-"),
        REQUEST.replace(b"alice", b"bob\nalice"),
        REQUEST.replace(b"alice", b"\xff"),
    ],
)
def test_rejects_other_requests(request_: bytes) -> None:
    """An incomplete request, or one of another protocol, yields no address."""
    assert parse(request_) is None


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        (REQUEST + b"more", REQUEST + b"more"),
        (REQUEST[:-1], REQUEST[:-1]),
        (b"x" * 10_000, b"x" * script_protocol.MAX_REQUEST_BYTES),
    ],
)
def test_reads_no_more_than_a_request(sent: bytes, got: bytes) -> None:
    """The reader does not wait for data after the empty line, or beyond the limit."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        assert script_protocol.read(ours) == got


def test_does_not_wait_for_a_request_that_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent client delays only one read."""
    monkeypatch.setattr(script_protocol, "REQUEST_SECONDS", 0.1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(REQUEST[:-1])
        assert script_protocol.read(ours) == b""
