"""
Checks whether each daemon answers on the sockets that other programs use.

systemd and the kernel accept connections for a frozen daemon, so only an answer counts.
"""

import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from chatmaild.health.checks import ANSWER_SECONDS, Check, Look
from chatmaild.postfix import milter_protocol, socketmap
from chatmaild.service import http_client


class SilentError(Exception):
    """A daemon does not answer, or answers wrongly; the message says how."""


def accounts(look: Look) -> Iterator[Check]:
    """Ask chatmail-accounts, including its thread for the account book."""

    def ask() -> None:
        path = look.config.paths.control_socket
        try:
            http_client.ask(path, "/ready", seconds=ANSWER_SECONDS)
        except http_client.UnreachableError as error:
            raise SilentError(str(error)) from None

    yield _asked(look, "chatmail-accounts", ask, "no one can log in for the first time")


def filter_(look: Look) -> Iterator[Check]:
    """Begin a session with the filter as Postfix does."""

    def ask() -> None:
        offer = struct.pack("!III", milter_protocol.VERSION, 0x1FF, 0x1FFFFF)
        sent = milter_protocol.packet(bytes([milter_protocol.NEGOTIATE]), offer)
        answer = _exchange(look.config.paths.filter_socket, sent, 5)
        if answer[4:5] != bytes([milter_protocol.NEGOTIATE]):
            raise SilentError("it does not speak the milter protocol")

    yield _asked(look, "chatmail-filter", ask, "mail stays with its senders")


def tls(look: Look) -> Iterator[Check]:
    """Ask chatmail-tls about an invalid domain, so that it needs no query of its own."""

    def ask() -> None:
        answer = _exchange(look.config.paths.tls_policy_socket, socketmap.render("tls ."), 4)
        if b":NOTFOUND" not in answer:
            raise SilentError("it does not speak the socketmap protocol")

    yield _asked(look, "chatmail-tls", ask, "mail to other servers waits")


def web(look: Look) -> Iterator[Check]:
    """Ask chatmail-web for a page that it does not have."""

    def ask() -> None:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        if not _exchange(look.config.paths.web_socket, request, 5).startswith(b"HTTP/"):
            raise SilentError("it does not speak HTTP")

    yield _asked(look, "chatmail-web", ask, "no new addresses, no mail by HTTPS")


def dovecot(look: Look) -> Iterator[Check]:
    """Ask Dovecot's authentication and delivery, which Postfix needs."""

    def ask() -> None:
        paths = look.config.paths
        for thing, path, beginning in (
            ("authentication", paths.sasl_socket, b"VERSION"),
            ("delivery (LMTP)", paths.lmtp_socket, b"220"),
        ):
            try:
                answer = _exchange(path, b"", len(beginning))
            except SilentError as error:
                raise SilentError(f"{thing}: {error}") from None
            if not answer.startswith(beginning):
                raise SilentError(f"{thing}: no greeting")

    yield _asked(look, "dovecot", ask, "no one can log in or receive mail")


def _asked(look: Look, unit: str, ask: Callable[[], None], lost: str) -> Check:
    """Ask a daemon and report the result under the name of its unit."""
    try:
        ask()
    except PermissionError:
        return look.hidden(unit, "whether it answers")
    except (OSError, SilentError) as error:
        return Check(
            unit,
            "wrong",
            f"does not answer ({error}): {lost}",
            f"`systemctl restart {unit}`; `journalctl -u {unit}` may have the reason",
        )
    return Check(unit, "ok", "answers")


def _exchange(path: Path, sent: bytes, wanted: int) -> bytes:
    """
    Send to a UNIX socket; return the first octets of the answer, at least `wanted` of them.

    Raises:
        PermissionError: the socket belongs to others.
        SilentError: the answer is shorter or does not come.

    """
    received = b""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(str(path))
            connection.sendall(sent)
            while len(received) < wanted and (part := connection.recv(4096)):
                received += part
    except TimeoutError:
        raise SilentError(f"nothing within {ANSWER_SECONDS:g} s") from None
    except PermissionError:
        raise
    except OSError as error:
        raise SilentError(error.strerror or str(error)) from None
    if len(received) < wanted:
        raise SilentError("it closes the connection")
    return received
