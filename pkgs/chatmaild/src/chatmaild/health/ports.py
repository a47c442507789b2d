"""Checks the public TLS ports and the certificates that clients get there."""

import datetime
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cryptography import x509

from chatmaild.health import certificate
from chatmaild.health.checks import ANSWER_SECONDS, Check, Look

LOOPBACK = "127.0.0.1"
MAX_LINE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Port:
    """
    A port, the start of its first line, and the units that answer there.

    `request` is sent to get a first line. With `starttls` there is a first line before TLS.
    """

    number: int
    service: str
    begins: bytes
    units: str
    request: bytes = b""
    starttls: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """The result for a client of a port: a certificate, or a fault."""

    port: Port
    shown: x509.Certificate | None
    fault: str


def check(look: Look) -> Iterator[Check]:
    """Connect to every port; then compare their certificates with the file."""
    numbers = look.config.ports
    request = f"GET / HTTP/1.1\r\nHost: {look.config.host}\r\nConnection: close\r\n\r\n"
    ports = [
        Port(numbers.smtp, "SMTP", b"220", "postfix", starttls=True),
        Port(numbers.submissions, "submissions", b"220", "nginx postfix"),
        Port(numbers.imaps, "IMAP", b"* ", "dovecot"),
        Port(numbers.https, "HTTPS", b"HTTP/", "nginx", request.encode("ascii")),
    ]
    with ThreadPoolExecutor(max_workers=len(ports)) as pool:
        seen = list(pool.map(lambda port: connect(port, look.config.host), ports))
    for one in seen:
        if one.fault:
            yield Check(
                f"port {one.port.number}",
                "wrong",
                f"{one.port.service}: {one.fault}",
                f"`systemctl restart {one.port.units}`",
            )
    if good := [str(one.port.number) for one in seen if not one.fault]:
        yield Check("ports", "ok", f"{', '.join(good)} answer")
    shown = {one.port.number: (one.port.units, one.shown) for one in seen if one.shown}
    yield from certificate.check(look, shown, datetime.datetime.now(datetime.UTC))


def connect(port: Port, host: str) -> Seen:
    """Connect to a port of this host as a client does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Any certificate is accepted here; it is judged later.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    shown = None
    what = "no connection"
    try:
        with socket.create_connection((LOOPBACK, port.number), ANSWER_SECONDS) as plain:
            if port.starttls:
                what = "no greeting"
                _starttls(plain, port)
            what = "no TLS"
            with context.wrap_socket(plain, server_hostname=host) as secured:
                shown = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
                what = "TLS, but no answer"
                if not port.starttls:
                    secured.sendall(port.request)
                    _expect(secured, port.begins)
    except TimeoutError:
        return Seen(port, shown, f"{what} within {ANSWER_SECONDS:g} s")
    except (OSError, ValueError) as error:
        return Seen(port, shown, f"{what}: {getattr(error, 'strerror', None) or error}")
    return Seen(port, shown, "")


def _starttls(plain: socket.socket, port: Port) -> None:
    _expect(plain, port.begins)
    plain.sendall(b"EHLO localhost\r\n")
    _expect(plain, b"250")
    plain.sendall(b"STARTTLS\r\n")
    _expect(plain, b"220")


def _expect(connection: socket.socket, beginning: bytes) -> None:
    """Read an answer; raises `ValueError` if it is not the expected one."""
    received = b""
    # A continued line of SMTP has a hyphen after the code.
    while not received.endswith(b"\n") or received.splitlines()[-1][3:4] == b"-":
        part = connection.recv(MAX_LINE_BYTES)
        received += part
        if not part or len(received) > 8 * MAX_LINE_BYTES:
            break
        # HTTP and IMAP have no code: the first line is enough.
        if received.startswith(beginning) and not beginning.isdigit():
            return
    if not received.startswith(beginning):
        raise ValueError("no answer before it hung up" if not received else "unexpected answer")
