"""Daemons that answer, are frozen, or are other programs."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatmaild.health import answers
from chatmaild.health.checks import Look


@contextmanager
def listening(path: Path, answer: bytes | None) -> Iterator[None]:
    """Listen on a socket and give this answer to one connection; None means frozen."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer or b"")

        thread = threading.Thread(target=serve, daemon=True)
        if answer is not None:
            thread.start()
        yield
        if answer is not None:
            thread.join(5)


@pytest.mark.parametrize(
    ("answer", "state", "text"),
    [
        (b"\0\0\0\x0dO\0\0\0\x06\0\0\0\x51\0\x18\x51\xc2", "ok", "answers"),
        (None, "wrong", "does not answer (nothing within 0.3 s): mail stays"),
        (b"", "wrong", "does not answer ("),
        (b"HTTP/1.1 400", "wrong", "it does not speak the milter protocol"),
    ],
)
def test_only_an_answer_counts(
    look: Look,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes | None,
    state: str,
    text: str,
) -> None:
    """The kernel accepts connections for a frozen daemon."""
    monkeypatch.setattr(answers, "ANSWER_SECONDS", 0.3)
    with listening(look.config.paths.filter_socket, answer):
        [check] = answers.filter_(look)
    assert (check.state, text in check.text) == (state, True), check


def test_a_daemon_that_is_down_is_named(look: Look) -> None:
    """With the command that restarts it."""
    for ask in (answers.filter_, answers.accounts, answers.tls, answers.web, answers.dovecot):
        [check] = ask(look)
        assert (check.state, f"systemctl restart {check.name}" in check.remedy) == ("wrong", True)


def test_both_halves_of_dovecot_must_answer(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logins and delivery are separate processes."""
    monkeypatch.setattr(answers, "ANSWER_SECONDS", 0.3)
    paths = look.config.paths
    with listening(paths.sasl_socket, b"VERSION\t1\t2\n"), listening(paths.lmtp_socket, None):
        [check] = answers.dovecot(look)
    assert "delivery (LMTP): nothing within" in check.text
