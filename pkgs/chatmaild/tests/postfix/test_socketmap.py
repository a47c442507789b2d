"""Netstrings as Postfix writes them, and invalid input."""

import asyncio

import pytest

from chatmaild.postfix import socketmap
from chatmaild.postfix.socketmap import SocketmapError


def read(sent: bytes) -> tuple[str, str]:
    """Read one request from a client that sends this and closes the connection."""

    async def serve() -> tuple[str, str]:
        reader = asyncio.StreamReader(limit=1024)
        reader.feed_data(sent)
        reader.feed_eof()
        return await socketmap.read(reader)

    return asyncio.run(serve())


def test_reads_map_and_key() -> None:
    """The key may contain spaces; further data is the next request."""
    assert read(b"15:tls example.org,7:tls a.b,") == ("tls", "example.org")
    assert read(b"9:tls a b c,") == ("tls", "a b c")
    assert read(b"3:tls,") == ("tls", "")


@pytest.mark.parametrize(
    "sent",
    [
        b"15:tls example.orgX",
        b"x:",
        b":",
        b"-1:",
        b"99999:",
        b"4097:" + b"x" * 4097,
        b"9" * 2000,
    ],
)
def test_refuses_anything_else(sent: bytes) -> None:
    """The connection of a client with another protocol is closed without an answer."""
    with pytest.raises(SocketmapError):
        read(sent)


@pytest.mark.parametrize("sent", [b"", b"15", b"15:tls exam"])
def test_a_client_may_close_between_requests(sent: bytes) -> None:
    """Connections usually end like this."""
    with pytest.raises(EOFError):
        read(sent)


def test_writes_replies() -> None:
    """The length counts octets."""
    assert socketmap.render("OK secure match=a.test") == b"22:OK secure match=a.test,"
    assert socketmap.render("TEMP \u00e4") == "7:TEMP ä,".encode()
