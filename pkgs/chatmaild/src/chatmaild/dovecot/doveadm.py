"""
Making Dovecot forget somebody: its authentication cache and the connections that are open.

This is doveadm's server protocol (Dovecot's src/doveadm/client-connection-tcp.c) on a UNIX socket
that only this daemon's user may open, which is why it asks for no password. The configuration
allows the two commands used here and no other.
"""

import asyncio
from pathlib import Path

VERSION = b"VERSION\tdoveadm-server\t1\t0\n"
SECONDS = 10.0
MAX_LINE_BYTES = 4096


class DovecotError(Exception):
    """Dovecot did not do it; the text is one sentence for the operator."""


class Dovecot:
    """Dovecot's administration socket."""

    def __init__(self, socket: Path) -> None:
        """Connect to `socket` for each request: there are few."""
        self._socket = socket

    async def forget(self, address: str) -> None:
        """
        Drop what is cached about an address, then end its connections, hibernated ones too.

        Raises:
            DovecotError: it cannot be reached, or refuses.

        """
        try:
            async with asyncio.timeout(SECONDS):
                reader, writer = await asyncio.open_unix_connection(
                    self._socket, limit=MAX_LINE_BYTES
                )
                try:
                    writer.write(VERSION)
                    if await reader.readline() != b"+\n":
                        raise DovecotError(f"{self._socket}: Dovecot wants a password")
                    for command in ("auth cache flush", "kick"):
                        # Flags and user are empty; an address has no TAB.
                        writer.write(f"\t\t{command}\t{address}\n".encode())
                        await _verdict(reader, command)
                finally:
                    writer.close()
        except TimeoutError:
            raise DovecotError(f"{self._socket}: Dovecot does not answer") from None
        except (OSError, ValueError) as error:
            raise DovecotError(f"{self._socket}: Dovecot cannot be asked: {error}") from None


async def _verdict(reader: asyncio.StreamReader, command: str) -> None:
    """Skip what the command prints, up to `+` or `-` and an error's name."""
    while line := await reader.readline():
        if line == b"+\n":
            return
        if line.startswith(b"-"):
            raise DovecotError(f"Dovecot refuses `{command}` ({line[1:].decode().strip()})")
    raise DovecotError(f"Dovecot ends the connection at `{command}`")
