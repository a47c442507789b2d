"""
chatmail-metrics: answers one scrape.

systemd listens on loopback and starts this program for each connection, up to a few at once. So
metrics cost nothing between scrapes. A slow or malicious client only occupies a process that
nothing else needs, and no other daemon has an additional listener.

    /metrics   metrics for Prometheus
    /health    200, or 503 with the names of the daemons that do not respond
"""

import contextlib
import logging
import os
import signal
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from chatmaild.config import Config, ConfigError
from chatmaild.metrics import families, sources
from chatmaild.service import daemon, sockets, systemd

log = logging.getLogger("chatmail-metrics")

# The time limits for silence and for the whole request; Prometheus waits ten seconds.
REQUEST_SECONDS = 3
WHOLE_SECONDS = 25
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Scrape(BaseHTTPRequestHandler):
    """Answers one request and closes the connection."""

    config: Config

    def do_GET(self) -> None:
        """Answer /metrics and /health."""
        if self.path not in {"/metrics", "/health"}:
            self._answer(HTTPStatus.NOT_FOUND, b"the paths are /metrics and /health\n")
            return
        if self.config.metrics is None:
            raise ConfigError("`metrics` is null: metrics are disabled on this relay")
        sample = sources.look(self.config, self.config.metrics)
        if self.path == "/metrics":
            self._answer(HTTPStatus.OK, families.text(sample))
        elif down := sorted(name for name, up in sample.answering.items() if not up):
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"down: {' '.join(down)}\n".encode())
        else:
            self._answer(HTTPStatus.OK, b"well\n")

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Log nothing: data from a client must not reach the journal."""

    def version_string(self) -> str:
        """Return no version."""
        return "chatmail"


def answer(connection: socket.socket, config: Config) -> None:
    """Answer a connection; errors of the client end it."""
    handler = type("Handler", (Scrape,), {"config": config, "timeout": REQUEST_SECONDS})
    with connection, contextlib.suppress(OSError):
        connection.setblocking(True)
        handler(connection, ("", 0), None)


def _work(config: Config) -> None:
    # Nothing waits for an answer that takes longer.
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.alarm(WHOLE_SECONDS)
    passed = systemd.listen_fds()
    if "connection" not in passed:
        raise sockets.SocketError("must be started by chatmail-metrics.socket")
    answer(passed["connection"], config)


def main() -> int:
    """Run chatmail-metrics; see `chatmail-metrics --help`."""
    return daemon.run(
        "chatmail-metrics", "Answer one scrape by Prometheus.", _work, (sockets.SocketError,)
    )
