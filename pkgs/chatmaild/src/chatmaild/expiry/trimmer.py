"""
chatmail-trim: deletes the oldest messages of mailboxes that Dovecot reports as too full.

When a message lifts a mailbox over 75 % of its quota, in bytes or in messages, Dovecot sends a
request to a UNIX socket and does not wait for an answer. The protocol is that of its `script`
service. systemd listens on the socket. This program starts with the first request and exits when
there are no more, so it costs nothing when idle.

Requests wait in the socket's backlog. A flood makes one request per delivery, so requests for the
same mailbox are handled together. If a request is lost, the next delivery or login repeats it, or
the nightly run trims the mailbox.
"""

import logging
import socket
import time
from contextlib import suppress
from pathlib import Path

from chatmaild.config import Config
from chatmaild.dovecot import script_protocol
from chatmaild.expiry.sweep import trim
from chatmaild.service import daemon, sockets, systemd

log = logging.getLogger("chatmail-trim")

IDLE_SECONDS = 30.0
# The number of requests that are read before the first is handled.
MAX_AT_ONCE = 1000


def home(mailboxes: Path, address: str) -> str | None:
    """Return the directory of an existing mailbox; None if it is missing or outside."""
    if "/" in address or "@" not in address or address.startswith("."):
        return None
    path = mailboxes / address
    return str(path) if path.is_dir() and not path.is_symlink() else None


class Trimmer:
    """Handles requests until there are none for a while."""

    def __init__(self, config: Config) -> None:
        """Take the limits and the directory of the mailboxes from the configuration."""
        self._config = config

    def serve(self, listener: socket.socket, idle_seconds: float = IDLE_SECONDS) -> None:
        """Handle requests from the listener; return after `idle_seconds` without one."""
        while True:
            try:
                addresses = {_request(listener, idle_seconds)}
            except TimeoutError:
                return
            with suppress(BlockingIOError):
                for _ in range(MAX_AT_ONCE - 1):
                    addresses.add(_request(listener, 0))
            for address in addresses - {""}:
                self.trim(address)

    def trim(self, address: str) -> None:
        """Trim one mailbox, if it exists; log disk errors and continue."""
        path = home(self._config.paths.mailboxes, address)
        if path is None:
            return
        try:
            gone = trim(path, self._config.mailbox, time.time())
        except OSError as error:
            log.error("a mailbox cannot be trimmed: %s", error.strerror)  # noqa: TRY400 - brief
            return
        if gone.messages:
            log.info("trimmed a mailbox by %d messages, %d bytes", gone.messages, gone.bytes)


def _request(listener: socket.socket, seconds: float) -> str:
    """
    Wait up to `seconds` for a request and return its address, or "" if it has none.

    Raises:
        TimeoutError: no request arrived. With 0 seconds it is BlockingIOError.

    """
    listener.settimeout(seconds)
    connection, _ = listener.accept()
    with connection:
        address = script_protocol.parse(script_protocol.read(connection))
    if address is None:
        log.warning("ignored an invalid request")
    return address or ""


def _run(config: Config) -> None:
    passed = systemd.listen_fds()
    if "trim" not in passed:
        raise sockets.SocketError("must be started by chatmail-trim.socket")
    systemd.notify("READY=1")
    Trimmer(config).serve(passed["trim"])


def main() -> int:
    """Run chatmail-trim; see `chatmail-trim --help`."""
    return daemon.run("chatmail-trim", "Trim full mailboxes.", _run, (sockets.SocketError,))
