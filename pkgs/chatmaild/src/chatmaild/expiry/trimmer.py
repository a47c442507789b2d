"""
chatmail-trim: makes room in mailboxes that Dovecot finds too full.

Dovecot tells a UNIX socket when mail lifts a mailbox over 75 % of its quota, in bytes or in
messages, in the protocol of its `script` service (src/util/script.c), and does not wait for an
answer. systemd listens, this program starts with the first request and ends when there are no more,
so that it costs nothing at rest. As many requests as the socket's backlog wait; those for one
mailbox, of which a flood makes one for each delivery, are served as one. A request that is lost all
the same is made good by the next delivery or login, or in the night.
"""

import logging
import socket
import time
from contextlib import suppress
from pathlib import Path

from chatmaild.config import Config
from chatmaild.expiry.sweep import trim
from chatmaild.service import daemon, sockets, systemd

log = logging.getLogger("chatmail-trim")

IDLE_SECONDS = 30.0
# Dovecot sends all of a request at once.
REQUEST_SECONDS = 2.0
# So many requests are read before any is served.
MAX_AT_ONCE = 1000
MAX_REQUEST_BYTES = 4096


def parse(request: bytes) -> str | None:
    """
    Read the address out of a request; None for anything else.

    A request is lines, ended by an empty one: `VERSION`, tab, `script`; environment variables as
    `env_NAME=value`; the word `noreply`; one line for each argument, of which there is one.
    """
    if not request.endswith(b"\n\n"):
        return None
    try:
        lines = request[:-2].decode("ascii").split("\n")
    except UnicodeDecodeError:
        return None
    if not lines[0].startswith("VERSION\tscript\t4\t"):
        return None
    words = [line for line in lines[1:] if not line.startswith(("env_", "alarm="))]
    if len(words) != 2 or words[0] != "noreply":  # noqa: PLR2004 - the word and the argument
        return None
    return words[1]


def home(mailboxes: Path, address: str) -> str | None:
    """Return the directory of an existing mailbox; None for what is none, or lies elsewhere."""
    if "/" in address or "@" not in address or address.startswith("."):
        return None
    path = mailboxes / address
    return str(path) if path.is_dir() and not path.is_symlink() else None


class Trimmer:
    """Serves requests until there are none for a while."""

    def __init__(self, config: Config) -> None:
        """Take limit and place of the mailboxes from the configuration."""
        self._config = config

    def serve(self, listener: socket.socket, idle_seconds: float = IDLE_SECONDS) -> None:
        """Answer on the listener; return after `idle_seconds` without a request."""
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
        """Trim one mailbox, if there is one; a fault of the disk is told and survived."""
        path = home(self._config.paths.mailboxes, address)
        if path is None:
            return
        try:
            gone = trim(path, self._config.mailbox, time.time())
        except OSError as error:
            log.error("a mailbox cannot be trimmed: %s", error.strerror)  # noqa: TRY400 - as said
            return
        if gone.messages:
            log.info("trimmed a mailbox by %d messages, %d bytes", gone.messages, gone.bytes)


def _request(listener: socket.socket, seconds: float) -> str:
    """
    Wait so long for a request; the address in it, "" if there is none.

    Raises:
        TimeoutError: nobody has come; BlockingIOError, if no time was given.

    """
    listener.settimeout(seconds)
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(REQUEST_SECONDS)
        address = parse(_read(connection))
    if address is None:
        log.warning("a request was not understood")
    return address or ""


def _read(connection: socket.socket) -> bytes:
    """Read a request up to its empty line; what is late, too long or broken comes back short."""
    received = b""
    try:
        while not received.endswith(b"\n\n") and len(received) < MAX_REQUEST_BYTES:
            part = connection.recv(MAX_REQUEST_BYTES)
            if not part:
                break
            received += part
    except OSError:
        return b""
    return received


def _run(config: Config) -> None:
    passed = systemd.listen_fds()
    if "trim" not in passed:
        raise sockets.SocketError("is started by chatmail-trim.socket and not by itself")
    systemd.notify("READY=1")
    Trimmer(config).serve(passed["trim"])


def main() -> int:
    """Run chatmail-trim; see `chatmail-trim --help`."""
    return daemon.run("chatmail-trim", "Make room in full mailboxes.", _run, (sockets.SocketError,))
