"""
A push proxy for the lab: an HTTPS server among the clients that records its requests.

It answers as configured: 200, 410 for invalid tokens, errors, or nothing while it stalls. Its
certificate is from the lab's CA, which the machines trust, or self-signed.
"""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from harness import network
from harness.lab import Lab
from harness.process import wait_until

STALL_SECONDS = 60
LAST_CLIENT = network.CLIENTS[-1]


@dataclass(frozen=True)
class Notification:
    """One request: its time of arrival (`time.monotonic`), its path and its body."""

    at: float
    path: str
    token: str


@dataclass
class PushProxy:
    """A running proxy; `url` is the value for a relay's `push.proxy`."""

    url: str
    answer: int = HTTPStatus.OK
    dead: set[str] = field(default_factory=set)
    told: list[Notification] = field(default_factory=list)
    _open: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._open.set()

    def tokens(self) -> list[str]:
        """Return all received tokens in the order of arrival, whatever the answers."""
        return [one.token for one in self.told]

    def count(self, token: str) -> int:
        """Return how often a token was received."""
        return self.tokens().count(token)

    def last(self, token: str) -> float:
        """Return when a token was received last, or 0 (`time.monotonic`)."""
        return max((one.at for one in self.told if one.token == token), default=0)

    def wait_for(self, token: str, count: int = 1, timeout: float = 20) -> list[Notification]:
        """Wait until a token was received this often; return all of its notifications."""
        wait_until(
            lambda: self.count(token) >= count,
            f"the push proxy gets a token {count} times",
            timeout=timeout,
            step=0.01,
        )
        return [one for one in self.told if one.token == token]

    @contextmanager
    def failing(self, answer: int = HTTPStatus.INTERNAL_SERVER_ERROR) -> Iterator[None]:
        """Answer with an error until the end of the block."""
        before, self.answer = self.answer, answer
        yield
        self.answer = before

    @contextmanager
    def stalling(self) -> Iterator[None]:
        """Answer no requests until the end of the block."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def let_go(self) -> None:
        """Answer the waiting requests."""
        self._open.set()

    def take(self, path: str, body: bytes) -> int:
        """Record one request; return the status to answer with."""
        token = body.decode("ascii", "replace")
        self.told.append(Notification(time.monotonic(), path, token))
        self._open.wait(STALL_SECONDS)
        return HTTPStatus.GONE if token in self.dead else self.answer


def publish(lab: Lab, domain: str = "push.test", number: int = LAST_CLIENT) -> None:
    """Publish the proxy's name, whether it runs or not."""
    if domain not in lab.dns.zones():
        lab.dns.publish(domain, [("@", "A", network.address4(number))])


@contextmanager
def push_proxy(
    lab: Lab, domain: str = "push.test", number: int = LAST_CLIENT, *, trusted: bool = True
) -> Iterator[PushProxy]:
    """Run a proxy under a name, on the clients' address with this last octet."""
    publish(lab, domain, number)
    certificate, key = lab.ca.certificate(domain if trusted else "other.test")
    proxy = PushProxy(f"https://{domain}/notify")
    with tempfile.TemporaryDirectory() as place:
        pair = Path(place, "pair.pem")
        pair.write_text(certificate + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
    server = _Server((network.address4(number), 443), _handler(proxy), context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.let_go()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(http.server.ThreadingHTTPServer):
    """A thread for each connection, in which its TLS handshake is made too."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, place: tuple[str, int], handler: Any, context: ssl.SSLContext) -> None:
        super().__init__(place, handler)
        self._context = context
        self._connections: set[ssl.SSLSocket] = set()

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            with self._context.wrap_socket(request, server_side=True) as secure:
                self._connections.add(secure)
                super().finish_request(secure, client_address)
                self._connections.discard(secure)
        except OSError:
            pass  # a relay that refuses the certificate, or was restarted

    def server_close(self) -> None:
        super().server_close()
        # A relay keeps connections open for further notifications.
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _handler(proxy: PushProxy) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(proxy.take(self.path, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
            pass

    return Handler
