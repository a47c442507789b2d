"""Fetches from web servers that are right, wrong, slow or hostile."""

import asyncio
import ipaddress
import socket
import ssl
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chatmaild.tlspolicy import fetch
from chatmaild.tlspolicy.sts import Policy, StsError

GOOD = (
    b"version: STSv1\r\nmode: enforce\r\n"
    b"mx: mx.example.org\r\nmx: *.Example.net\r\nmax_age: 86400\r\n"
)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
    ],
)
def test_does_not_connect_to_this_host(address: str, allowed: bool) -> None:
    """A stranger's DNS must not direct the relay to its own or its provider's services."""
    assert fetch.reachable(address) is allowed


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a certificate for mta-sts.example.org and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mta-sts.example.org")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("mta-sts.example.org")]), critical=False
        )
        .sign(key, SHA256())
    )
    file = tmp_path_factory.mktemp("pair") / "pair.pem"
    file.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return file


@contextmanager
def answering(pair: Path, answer: bytes, *, hang: bool = False) -> Iterator[int]:
    """Serve one HTTPS request with these octets; return the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            try:
                raw, _ = listener.accept()
                with context.wrap_socket(raw, server_side=True) as connection:
                    connection.settimeout(5)
                    connection.recv(65536)
                    connection.sendall(answer)
                    if hang:
                        connection.recv(1)
            except OSError:
                pass  # the other side closed the connection, as some of these tests expect

        thread = Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(15)


def fetched(
    pair: Path, port: int, monkeypatch: pytest.MonkeyPatch, *, trusted: bool = True
) -> Policy:
    """Fetch from loopback at this port, trusting the certificate."""
    context = ssl.create_default_context()
    if trusted:
        context.load_verify_locations(pair)
    connect = asyncio.open_connection
    monkeypatch.setattr(
        fetch, "reachable", lambda address: ipaddress.ip_address(address).is_loopback
    )
    monkeypatch.setattr(
        asyncio, "open_connection", lambda host, _, **rest: connect(host, port, **rest)
    )
    return asyncio.run(fetch.fetch("example.org", ["127.0.0.1"], context))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD,
        HEAD + b"\r\n" + GOOD,
        HEAD
        + b"Transfer-Encoding: chunked\r\n\r\n10\r\n"
        + GOOD[:16]
        + b"\r\n%x\r\n" % (len(GOOD) - 16)
        + GOOD[16:]
        + b"\r\n0\r\n\r\n",
        b"HTTP/1.0 200\r\nContent-Type: TEXT/Plain\r\n\r\n" + GOOD,
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + HEAD + b"\r\n" + GOOD,
    ],
)
def test_fetches_a_policy(pair: Path, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers end a body in three ways, and have other differences, too."""
    with answering(pair, answer) as port:
        assert fetched(pair, port, monkeypatch).mode == "enforce"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 301 Moved\r\nLocation: https://evil.test/\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\n" + GOOD,
        HEAD.replace(b"text/plain", b"text/html") + b"\r\n" + GOOD,
        HEAD + b"Content-Length: 65537\r\n\r\n" + GOOD,
        HEAD + b"Content-Length: 99\r\n\r\nshort",
        HEAD + b"\r\n" + GOOD + b"x: y\n" * 20000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n",
        HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 30_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + GOOD,
        HEAD[:-2],
        b"X" * 100_000,
        b"",
    ],
)
def test_fetches_nothing_else(pair: Path, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirects, other status codes or types, endless and compressed bodies are errors."""
    with answering(pair, answer) as port, pytest.raises(StsError):
        fetched(pair, port, monkeypatch)


def test_fetches_nothing_unverified(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an attacker on port 443 could choose the mail servers."""
    answer = HEAD + b"\r\n" + GOOD
    with answering(pair, answer) as port, pytest.raises(StsError):
        fetched(pair, port, monkeypatch, trusted=False)


def test_does_not_wait_forever(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow server delays nothing else."""
    monkeypatch.setattr(fetch, "FETCH_SECONDS", 0.5)
    with answering(pair, HEAD, hang=True) as port, pytest.raises(StsError, match="too slow"):
        fetched(pair, port, monkeypatch)


def test_a_header_without_end_takes_no_memory(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With aiohttp 300 MB of header fields took 2 GB, and any account can choose the server."""
    fields = b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1000) for n in range(5000))
    with answering(pair, HEAD + fields) as port:
        tracemalloc.start()
        with pytest.raises(StsError):
            fetched(pair, port, monkeypatch)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 2_000_000
