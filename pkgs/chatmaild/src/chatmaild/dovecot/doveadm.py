"""
Flush an account from Dovecot's authentication cache and close its open connections.

This is a client of doveadm's server protocol (Dovecot's src/doveadm/client-connection-tcp.c). Only
this daemon's user can open the UNIX socket, so Dovecot asks for no password. Dovecot's
configuration allows only the two commands used here.
"""

import asyncio
from pathlib import Path

VERSION = b"VERSION\tdoveadm-server\t1\t0\n"
SECONDS = 10.0
MAX_LINE_BYTES = 4096


class DovecotError(Exception):
    """Dovecot did not execute a command; the message is for the operator."""


class Dovecot:
    """Dovecot's administration socket."""

    def __init__(self, socket: Path) -> None:
        """Open a new connection to `socket` for each request, because requests are rare."""
        self._socket = socket

    async def forget(self, address: str) -> None:
        """
        Flush an address from the cache, then close its connections, including hibernated ones.

        Raises:
            DovecotError: Dovecot cannot be reached or refuses.

        """
        try:
            async with asyncio.timeout(SECONDS):
                reader, writer = await asyncio.open_unix_connection(
                    self._socket, limit=MAX_LINE_BYTES
                )
                try:
                    writer.write(VERSION)
                    if await reader.readline() != b"+\n":
                        raise DovecotError(f"{self._socket}: Dovecot requires a password")
                    for command in ("auth cache flush", "kick"):
                        # The fields for flags and user are empty. An address contains no TAB.
                        writer.write(f"\t\t{command}\t{address}\n".encode())
                        await _verdict(reader, command)
                finally:
                    writer.close()
        except TimeoutError:
            raise DovecotError(f"{self._socket}: Dovecot does not respond") from None
        except (OSError, ValueError) as error:
            raise DovecotError(f"{self._socket}: Dovecot cannot be reached: {error}") from None


async def _verdict(reader: asyncio.StreamReader, command: str) -> None:
    """Skip the output of the command, up to the line `+`, or `-` and the name of an error."""
    while line := await reader.readline():
        if line == b"+\n":
            return
        if line.startswith(b"-"):
            raise DovecotError(f"Dovecot refuses `{command}` ({line[1:].decode().strip()})")
    raise DovecotError(f"Dovecot closed the connection during `{command}`")
