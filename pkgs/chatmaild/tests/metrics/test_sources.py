"""Querying daemons that are up, slow, or other programs."""

import datetime
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from chatmaild.admin.self_signed import ensure
from chatmaild.metrics import sources

DOMAIN = "_chat.example"


def script(directory: Path, text: str) -> Path:
    """Write a program that replaces postqueue."""
    path = directory / "postqueue"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def entry(queue: str, arrived: int) -> str:
    """Write a line as `postqueue -j` does."""
    return json.dumps(
        {
            "queue_name": queue,
            "queue_id": "4Xk2",
            "arrival_time": arrived,
            "message_size": 900,
            "sender": "alice@example.org",
            "recipients": [{"address": "bob@example.net"}],
        }
    )


def test_counts_the_queue_and_knows_its_oldest(tmp_path: Path) -> None:
    """Only two values of each message are used, and no addresses."""
    lines = [entry("deferred", 300), entry("deferred", 100), entry("active", 200)]
    (tmp_path / "queue").write_text("".join(f"{line}\n" for line in lines))

    found = sources.queue(script(tmp_path, f'test "$1" = -j && cat {tmp_path}/queue'))

    assert found == sources.Queue({"deferred": 2, "active": 1}, 100)


def test_an_empty_queue_is_a_queue(tmp_path: Path) -> None:
    """Postfix prints nothing then."""
    assert sources.queue(script(tmp_path, "exit 0")) == sources.Queue({}, None)


def test_postfix_that_is_down_has_no_queue(tmp_path: Path) -> None:
    """`postqueue` fails; a missing program has the same effect."""
    assert sources.queue(script(tmp_path, "exit 69")) is None
    assert sources.queue(tmp_path / "missing") is None


def test_does_not_wait_for_a_slow_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape has ten seconds; entries that arrived in time count."""
    monkeypatch.setattr(sources, "QUEUE_SECONDS", 0.5)
    slow = script(tmp_path, f"echo '{entry('hold', 5)}'; exec sleep 60")

    assert sources.queue(slow) == sources.Queue({"hold": 1}, 5)


@contextmanager
def listener(directory: Path, *, speaks_tls: bool) -> Iterator[int]:
    """Listen on loopback for one connection; return the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if speaks_tls:
        context.load_cert_chain(directory / "cert.pem", directory / "key.pem")

    def serve(plain: socket.socket) -> None:
        connection, _ = plain.accept()
        with connection:
            if speaks_tls:
                try:
                    with context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(1)
                except OSError:
                    pass  # The client closes the connection early.

    with socket.create_server(("127.0.0.1", 0)) as plain:
        thread = threading.Thread(target=serve, args=(plain,))
        thread.start()
        yield plain.getsockname()[1]
        thread.join()


def test_the_expiry_of_the_presented_certificate(tmp_path: Path) -> None:
    """It is read even if the certificate is not trusted."""
    now = datetime.datetime.now(datetime.UTC)
    ensure(tmp_path / "cert.pem", tmp_path / "key.pem", DOMAIN, now)
    end = x509.load_pem_x509_certificate((tmp_path / "cert.pem").read_bytes()).not_valid_after_utc

    with listener(tmp_path, speaks_tls=True) as port:
        assert sources.certificate_end(port, DOMAIN) == end.timestamp()


def test_a_port_without_tls_has_no_certificate(tmp_path: Path) -> None:
    """The daemon is down, or closes the connection."""
    with listener(tmp_path, speaks_tls=False) as port:
        assert sources.certificate_end(port, DOMAIN) is None
    assert sources.certificate_end(port, DOMAIN) is None
