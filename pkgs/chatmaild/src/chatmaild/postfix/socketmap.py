"""
Postfix's socketmap protocol (socketmap_table(5)): requests and replies are netstrings.

A request is "MAP KEY". A reply is "OK VALUE", "NOTFOUND ", or "TEMP REASON", after which Postfix
tries again later.
"""

import asyncio
import re

MAX_REQUEST_BYTES = 4096
"""Postfix accepts addresses of up to 2048 octets before it judges them."""
_LENGTH = re.compile(rb"[0-9]{1,4}")


class SocketmapError(Exception):
    """The peer does not speak this protocol."""


async def read(reader: asyncio.StreamReader) -> tuple[str, str]:
    """
    Read a request; return map and key.

    Raises:
        SocketmapError: it is malformed or larger than 4096 bytes.
        EOFError: the peer has closed the connection.

    """
    try:
        length = (await reader.readuntil(b":"))[:-1]
    except asyncio.LimitOverrunError:
        raise SocketmapError("a request without a length") from None
    if not _LENGTH.fullmatch(length) or int(length) > MAX_REQUEST_BYTES:
        raise SocketmapError("a request with an invalid length")
    data = await reader.readexactly(int(length) + 1)
    if data[-1:] != b",":
        raise SocketmapError("not a netstring")
    # Postfix also looks up recipients that it will refuse; no answer would be a temporary failure.
    name, _, key = data[:-1].decode("utf-8", "replace").partition(" ")
    return name, key


def render(reply: str) -> bytes:
    """Write a reply."""
    data = reply.encode()
    return b"%d:%s," % (len(data), data)
