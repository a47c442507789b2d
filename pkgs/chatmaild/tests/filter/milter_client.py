"""
Postfix's side of the milter protocol, to test the filter without Postfix.

Like Postfix, it sends its packets only when it waits for an answer.
"""

import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

VERSION = 6
ALL_ACTIONS = 0x1FF
ALL_OPTIONS = 0x1FFFFF
SKIP_UNKNOWN = {b"p"}  # SMFIR_PROGRESS
# Option bits by which the filter skips a command, and by which it says not to wait for an answer.
NO_COMMAND = {b"C": 0x1, b"H": 0x2, b"M": 0x4, b"R": 0x8, b"B": 0x10, b"L": 0x20, b"N": 0x40}
NO_REPLY = {b"L": 0x80, b"C": 0x1000, b"M": 0x4000, b"R": 0x8000, b"B": 0x80000}
TIMEOUT_SECONDS = 20.0
MAX_CHUNK = 65_535


@dataclass
class Result:
    """The outcome of a message: the final reply ("accept" without one) and the edited header."""

    reply: str
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    recipients: dict[str, str] = field(default_factory=dict)
    sender: str | None = None
    """The envelope sender that the filter put in place of the first, if it did."""
    body: bytes | None = None
    """The body that the filter put in place of the first, if it did."""

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all fields of this name, unfolded and stripped."""
        return [
            value.replace(b"\n", b"").strip()
            for key, value in self.headers
            if key.lower() == name.lower()
        ]


class MilterClient:
    """One connection, as an smtpd process has it."""

    def __init__(
        self, path: Path, daemon: str, peer: tuple[str, int] = ("192.0.2.9", 4711)
    ) -> None:
        """Connect and negotiate as Postfix 3.10 does."""
        self.unsent = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect(str(path))
        self._send(b"O", struct.pack("!III", VERSION, ALL_ACTIONS, ALL_OPTIONS))
        command, data = self._receive()
        assert command == b"O", command
        _, self.actions, self.options = struct.unpack("!III", data[:12])
        self._macros(b"C", {"{daemon_name}": daemon, "j": "chat.example.org"})
        family = b"6" if ":" in peer[0] else b"4"
        port = struct.pack("!H", peer[1])
        self.command(b"C", b"unknown\0" + family + port + peer[0].encode() + b"\0")

    def close(self) -> None:
        """Quit as Postfix does."""
        self._send(b"Q", b"")
        self.flush()
        self.socket.close()

    def send(
        self,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        *,
        sender: str,
        recipients: tuple[str, ...],
        login: str = "",
    ) -> Result:
        """Send one message; `headers` have raw values with folds as CRLF."""
        result = Result("accept", [(n, v.replace(b"\r\n", b"\n")) for n, v in headers])
        self.begin(sender, login)
        for recipient in recipients:
            answer = self.recipient(recipient)
            if answer:
                result.recipients[recipient] = answer
        if len(result.recipients) == len(recipients):
            result.reply = answer
            self._send(b"A", b"")
            return result
        self.content(result.headers, body)
        self.finish(result)
        return result

    def content(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send header and body; folds are LF."""
        for name, value in headers:
            self.command(b"L", name + b"\0" + value + b"\0")
        for at in range(0, len(body), MAX_CHUNK):
            self.command(b"B", body[at : at + MAX_CHUNK])
            self.flush()
        self._send(b"E", b"")
        self.flush()

    def finish(self, result: Result) -> None:
        """Collect the edits and the final reply in `result`."""
        while True:
            command, data = self._receive()
            if command == b"h":
                name, value, _ = data.split(b"\0")
                result.headers.append((name, value))
            elif command in (b"i", b"m"):
                self._edit(result.headers, command, data)
            elif command == b"b":
                assert 0 < len(data) <= MAX_CHUNK
                result.body = (result.body or b"") + data
            elif command == b"e":
                result.sender = data.split(b"\0")[0].decode()
            elif command not in SKIP_UNKNOWN:
                result.reply = self._reply(command, data) or "accept"
                return

    def begin(self, sender: str, login: str = "") -> None:
        """Send MAIL FROM."""
        self._macros(b"M", {"{auth_authen}": login} if login else {})
        self.command(b"M", sender.encode() + b"\0")

    def recipient(self, address: str) -> str:
        """Send one RCPT TO; return the refusal or ""."""
        self._macros(b"R", {"{rcpt_addr}": address})
        return self.command(b"R", f"<{address}>".encode() + b"\0")

    def _macros(self, command: bytes, macros: dict[str, str]) -> None:
        words = "".join(f"{name}\0{value}\0" for name, value in macros.items())
        self._send(b"D", command + words.encode())

    def command(self, command: bytes, data: bytes) -> str:
        """Send one command unless it is skipped; return the refusal or ""."""
        if self.options & NO_COMMAND[command]:
            return ""
        self._send(command, data)
        if self.options & NO_REPLY.get(command, 0):
            return ""
        return self._reply(*self._receive())

    @staticmethod
    def _reply(command: bytes, data: bytes) -> str:
        """Translate an answer: "" to continue, otherwise the reply for the SMTP client."""
        if command == b"y":
            text = data.rstrip(b"\0").decode()
            # Postfix checks this and otherwise drops the connection; then it halves the percent
            # signs.
            assert text[0] in "45", text
            assert "%" not in text.replace("%%", ""), text
            return text.replace("%%", "%")
        return {b"c": "", b"a": "", b"t": "451 default", b"r": "550 default"}[command]

    @staticmethod
    def _edit(headers: list[tuple[bytes, bytes]], command: bytes, data: bytes) -> None:
        """Apply an insertion ("i", before a 0-based index) or a change ("m", 1-based per name)."""
        (index,) = struct.unpack("!I", data[:4])
        name, value, _ = data[4:].split(b"\0")
        if command == b"i":
            headers.insert(index, (name, value))
            return
        place = [i for i, (key, _) in enumerate(headers) if key.lower() == name.lower()][index - 1]
        if value:
            headers[place] = (headers[place][0], value)
        else:
            del headers[place]

    def _send(self, command: bytes, data: bytes) -> None:
        self.unsent += struct.pack("!I", len(data) + 1) + command + data

    def flush(self) -> None:
        """Send the packets that were held back."""
        unsent, self.unsent = self.unsent, b""
        self.socket.sendall(unsent)

    def _receive(self) -> tuple[bytes, bytes]:
        self.flush()
        (length,) = struct.unpack("!I", self._exactly(4))
        packet = self._exactly(length)
        return packet[:1], packet[1:]

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise ConnectionError("the filter closed the connection")
            data += chunk
        return data
