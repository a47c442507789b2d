"""Minimal SMTP and IMAP clients for load generation, because they share the relay's CPUs."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from dataclasses import dataclass

LIMIT = 1024 * 1024


class RefusedError(Exception):
    """The server gave an unexpected reply, which is `str()`."""


def unverified() -> ssl.SSLContext:
    """Return a context for a `_` relay, whose certificate clients do not verify."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _open(
    host: str, port: int, local: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    source = (local, 0) if local else None
    reader, writer = await asyncio.open_connection(
        host, port, ssl=unverified(), server_hostname=host, local_addr=source, limit=LIMIT
    )
    # drain() then returns when the kernel has everything, which is what "end of DATA" means here.
    writer.transport.set_write_buffer_limits(high=0)
    return reader, writer


@dataclass
class Submission:
    """A logged-in SMTP connection with implicit TLS (RFC 8314)."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sender: str

    @classmethod
    async def open(
        cls, host: str, port: int, account: tuple[str, str], local: str | None = None
    ) -> Submission:
        """Connect from the address `local` and log in."""
        reader, writer = await _open(host, port, local)
        session = cls(reader, writer, account[0])
        await session._reply(220)
        await session._say("EHLO load.invalid", 250)
        secret = base64.b64encode("\0{}\0{}".format(*account).encode()).decode()
        await session._say(f"AUTH PLAIN {secret}", 235)
        return session

    async def send(self, recipient: str, message: bytes) -> float:
        """
        Send one message with CRLF and stuffed dots; return the time (monotonic, s) of DATA's end.

        Raises RefusedError.
        """
        # RFC 2920: these three may be pipelined.
        envelope = f"MAIL FROM:<{self.sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
        self.writer.write(envelope.encode())
        await self._reply(250)
        await self._reply(250)
        await self._reply(354)
        self.writer.write(message + b".\r\n")
        await self.writer.drain()
        ended = time.monotonic()
        await self._reply(250)
        return ended

    async def close(self) -> None:
        """Send QUIT and close the connection."""
        await self._say("QUIT", 221)
        self.writer.close()

    async def _say(self, line: str, code: int) -> None:
        self.writer.write(f"{line}\r\n".encode())
        await self._reply(code)

    async def _reply(self, code: int) -> None:
        while True:
            line = await self.reader.readline()
            if line[3:4] == b"-":
                continue
            if not line.startswith(str(code).encode()):
                raise RefusedError(line.decode(errors="replace").strip() or "connection closed")
            return


class Watch:
    """An IMAP connection in IDLE (RFC 2177) that records when each message was announced."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._base = 0
        self._announced: list[float] = []
        self._more = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, host: str, port: int, account: tuple[str, str], local: str | None = None
    ) -> Watch:
        """Connect from the address `local`, log in, select INBOX and enter IDLE."""
        reader, writer = await _open(host, port, local)
        watch = cls(reader, writer)
        await reader.readline()
        await watch._command("a", 'LOGIN "{}" "{}"'.format(*account))
        await watch._command("b", "SELECT INBOX")
        writer.write(b"c IDLE\r\n")
        while not (line := await reader.readline()).startswith(b"+"):
            watch._note(line)
        watch._base += len(watch._announced)
        watch._announced.clear()
        watch._listening = asyncio.create_task(watch._listen())
        return watch

    async def announced(self, number: int) -> float:
        """Return when the `number`th message (from 1) in IDLE was announced (monotonic, s)."""
        while len(self._announced) < number:
            if self._listening and self._listening.done():
                raise RefusedError("the IMAP connection ended while waiting for a message")
            self._more.clear()
            await self._more.wait()
        return self._announced[number - 1]

    async def close(self) -> None:
        """Close the connection."""
        if self._listening:
            self._listening.cancel()
        self._writer.close()

    async def _command(self, tag: str, line: str) -> None:
        self._writer.write(f"{tag} {line}\r\n".encode())
        while True:
            answer = await self._reader.readline()
            if answer.startswith(tag.encode() + b" "):
                if not answer.startswith(tag.encode() + b" OK"):
                    raise RefusedError(answer.decode(errors="replace").strip())
                return
            if not answer:
                raise RefusedError("the IMAP connection was closed")
            self._note(answer)

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._note(line)
        finally:
            self._more.set()

    def _note(self, line: bytes) -> None:
        """Handle `* 7 EXISTS`: one line may announce several messages."""
        words = line.split()
        if len(words) == 3 and words[2] == b"EXISTS":
            now = time.monotonic()
            total = int(words[1])
            if self._listening is None:
                self._base = total
                return
            self._announced += [now] * (total - self._base - len(self._announced))
            self._more.set()
