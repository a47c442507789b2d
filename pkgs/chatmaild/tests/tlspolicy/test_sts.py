"""MTA-STS records, policies and their fetch, as in RFC 8461 and as strangers may send them."""

import asyncio
import ipaddress
import socket
import ssl
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

from chatmaild.tlspolicy import sts
from chatmaild.tlspolicy.sts import Policy, StsError

GOOD = (
    b"version: STSv1\r\nmode: enforce\r\n"
    b"mx: mx.example.org\r\nmx: *.Example.net\r\nmax_age: 86400\r\n"
)


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([b"v=STSv1; id=20261121T1;"], "20261121T1"),
        ([b"v=spf1 -all", b"v=STSv1;id=a"], "a"),
        ([b"v=STSv1; x=y; id=1"], "1"),
        ([], None),
        ([b"v=STSv1; id=1", b"v=STSv1; id=2"], None),
        ([b"v=STSv1; id="], None),
        ([b"v=STSv1; id=with-dash"], None),
        ([b"v=STSv2; id=1"], None),
        ([b" v=STSv1; id=1"], None),
    ],
)
def test_reads_the_one_record(records: list[bytes], found: str | None) -> None:
    """Anything but exactly one well-formed record counts as none."""
    assert sts.record_id(records) == found


def test_writes_a_policy_that_reads_the_same() -> None:
    """So policies are stored as text, and validated again when read."""
    for policy in (sts.parse(GOOD), Policy("none", (), 0)):
        assert sts.parse(sts.text(policy)) == policy


def test_reads_a_policy() -> None:
    """Both kinds of line ends and upper-case hosts are accepted."""
    wanted = Policy("enforce", ("mx.example.org", "*.example.net"), 86400)
    assert sts.parse(GOOD) == wanted
    assert sts.parse(GOOD.replace(b"\r\n", b"\n")) == wanted


@pytest.mark.parametrize(
    "body",
    [
        b"",
        GOOD.replace(b"STSv1", b"STSv2"),
        GOOD.replace(b"enforce", b"enforced"),
        GOOD.replace(b"86400", b"-1"),
        GOOD.replace(b"max_age", b"age"),
        b"version: STSv1\nmode: enforce\nmax_age: 1\n",
        GOOD.replace(b"mx.example.org", b"mx.example.org servername=evil.test"),
        GOOD.replace(b"mx.example.org", b"mx.example.org:evil.test"),
        GOOD.replace(b"mx.example.org", b"*"),
        GOOD.replace(b"mx.example.org", b"hostname"),
        GOOD.replace(b"mx.example.org", "mäx.example.org".encode()),
        GOOD + b"mx: a.example.org\n" * 200,
    ],
)
def test_refuses_invalid_policies(body: bytes) -> None:
    """Host names go into Postfix' policy, so nothing else is allowed there."""
    with pytest.raises(StsError):
        sts.parse(body)


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
    assert sts.reachable(address) is allowed


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
    """Serve one HTTPS request with fixed octets; the port."""
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
                pass  # the other side hung up, as some of these tests want it to

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
    monkeypatch.setattr(sts, "reachable", lambda address: ipaddress.ip_address(address).is_loopback)
    monkeypatch.setattr(
        asyncio, "open_connection", lambda host, _, **rest: connect(host, port, **rest)
    )
    return asyncio.run(sts.fetch("example.org", ["127.0.0.1"], context))


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
    ],
)
def test_fetches_a_policy(pair: Path, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers end a body in three ways."""
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
        b"X" * 100_000,
        b"",
    ],
)
def test_fetches_nothing_else(pair: Path, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirects, other status codes or types, and endless bodies are errors."""
    with answering(pair, answer) as port, pytest.raises(StsError):
        fetched(pair, port, monkeypatch)


def test_fetches_nothing_unverified(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an attacker on port 443 could choose the mail servers."""
    answer = HEAD + b"\r\n" + GOOD
    with answering(pair, answer) as port, pytest.raises(StsError):
        fetched(pair, port, monkeypatch, trusted=False)


def test_does_not_wait_forever(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow server delays nothing else."""
    monkeypatch.setattr(sts, "FETCH_SECONDS", 0.5)
    with answering(pair, HEAD, hang=True) as port, pytest.raises(StsError, match="too slow"):
        fetched(pair, port, monkeypatch)
