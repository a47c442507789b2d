"""
Line-based protocols with deadlines and a transcript, for what client libraries cannot do.

    with Dialogue.connect(relay.address, 25) as smtp:
        smtp.expect("220 ")
        smtp.say("EHLO client.test").expect("250 ")
        smtp.starttls()
        smtp.say("VRFY someone").expect("252 2.0.0 ")

An unexpected answer raises an AssertionError with the whole conversation.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
from itertools import count
from types import TracebackType
from typing import Self

from harness import evidence

SECONDS = 15
SHOWN = 200

_numbers = count(1)


def insecure(
    alpn: str | None = None, versions: tuple[ssl.TLSVersion, ssl.TLSVersion] | None = None
) -> ssl.SSLContext:
    """
    Return a context that accepts every certificate: relays in the lab are self-signed.

    `versions` are the lowest and the highest TLS version offered.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    if versions:
        context.minimum_version, context.maximum_version = versions
        # OpenSSL's own policy forbids versions below 1.2, so the server could not refuse them.
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


class Dialogue:
    """One connection, read in lines and written in lines or raw octets."""

    def __init__(self, connection: socket.socket) -> None:
        """Speak over a connected socket."""
        self._socket = connection
        self._unread = b""
        self.transcript: list[str] = []
        # Saved beside the journals when the test fails.
        evidence.attach(f"dialogue-{next(_numbers)}.txt", lambda: "\n".join(self.transcript))

    @classmethod
    def connect(
        cls,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        *,
        source: str | None = None,
        name: str | None = None,
    ) -> Dialogue:
        """
        Connect, optionally from the address `source`, and optionally begin with TLS.

        `name` is the host name for SNI.
        """
        place = (source, 0) if source else None
        raw = socket.create_connection((host, port), timeout=SECONDS, source_address=place)
        raw.settimeout(SECONDS)
        return cls(tls.wrap_socket(raw, server_hostname=name) if tls else raw)

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection without a command."""
        self._socket.close()

    def line(self) -> str:
        """Read one line without its end; return "" at the end of the connection."""
        while b"\n" not in self._unread:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                raise self.unexpected(f"nothing came within {SECONDS} s") from None
            except (ConnectionError, ssl.SSLEOFError):
                data = b""
            if not data:
                self.transcript.append("< (closed)")
                return ""
            self._unread += data
        text, _, self._unread = self._unread.partition(b"\n")
        shown = text.rstrip(b"\r").decode("utf-8", "replace")
        self.transcript.append(f"< {shown}")
        return shown

    def octets(self, count: int) -> bytes:
        """Read exactly this many octets, such as an IMAP literal."""
        while len(self._unread) < count:
            data = self._socket.recv(65536)
            if not data:
                raise self.unexpected(f"closed within a literal of {count} octets")
            self._unread += data
        literal, self._unread = self._unread[:count], self._unread[count:]
        self.transcript.append(f"< ({count} octets)")
        return literal

    def say(self, text: str) -> Dialogue:
        """Send one line."""
        self.transcript.append(f"> {text[:SHOWN]}")
        self._write(text.encode() + b"\r\n")
        return self

    def send(self, data: bytes) -> Dialogue:
        """Send octets unchanged."""
        self.transcript.append(f"> {data[:SHOWN]!r}")
        self._write(data)
        return self

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except ConnectionError:
            # Data that the server sent before it closed the connection can still be read.
            self.transcript.append("> (closed)")

    def reply(self) -> str:
        """Read an SMTP reply, all its lines joined by LF (RFC 5321 4.2.1)."""
        lines = [self.line()]
        while re.match(r"\d{3}-", lines[-1]):
            lines.append(self.line())
        return "\n".join(lines)

    def expect(self, beginning: str) -> str:
        """Read an SMTP reply whose last line must begin with this text."""
        reply = self.reply()
        if not reply.splitlines()[-1:] or not reply.splitlines()[-1].startswith(beginning):
            raise self.unexpected(f"wanted {beginning!r}")
        return reply

    def answer(self, command: str, tag: str = "a") -> list[str]:
        """Send an IMAP command; return all lines up to and including the tagged one."""
        self.say(f"{tag} {command}")
        return self.until(tag)

    def until(self, tag: str) -> list[str]:
        """Read IMAP lines up to and including the tagged one."""
        lines: list[str] = []
        while True:
            lines.append(self.line())
            if lines[-1].startswith(f"{tag} "):
                return lines
            if not lines[-1] and self.transcript[-1] == "< (closed)":
                raise self.unexpected(f"closed before the answer to {tag}")

    def starttls(self, context: ssl.SSLContext | None = None) -> Dialogue:
        """Switch to TLS as in SMTP, and send EHLO again."""
        self.say("STARTTLS").expect("220 ")
        self.secure(context)
        self.say("EHLO client.test").expect("250 ")
        return self

    def secure(self, context: ssl.SSLContext | None = None) -> Dialogue:
        """Begin TLS on the open connection."""
        self._socket = (context or insecure()).wrap_socket(self._socket)
        self.transcript.append(f"= {self._socket.version()}")
        return self

    def plain_login(self, address: str, password: str) -> Dialogue:
        """Authenticate as SMTP clients do (RFC 4616)."""
        token = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
        self.say(f"AUTH PLAIN {token}").expect("235 ")
        return self

    def data(self, sender: str, recipient: str) -> Dialogue:
        """Send an SMTP envelope, up to the point where the server expects the message."""
        self.say(f"MAIL FROM:<{sender}>").expect("250 ")
        self.say(f"RCPT TO:<{recipient}>").expect("250 ")
        self.say("DATA").expect("354 ")
        return self

    def ended(self) -> bool:
        """Return whether the server has closed the connection; pending data is read."""
        while self.line():
            pass
        return self.transcript[-1] == "< (closed)"

    def unexpected(self, why: str) -> AssertionError:
        """Return an error that contains the conversation."""
        return AssertionError("\n".join([why, *self.transcript]))
