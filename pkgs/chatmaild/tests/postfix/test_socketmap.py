"""Netstrings as Postfix writes them, and all else."""

import asyncio

import pytest

from chatmaild.postfix import socketmap
from chatmaild.postfix.socketmap import ProtocolError


def read(sent: bytes) -> tuple[str, str]:
    """Read one request from a peer that says this and closes."""

    async def serve() -> tuple[str, str]:
        reader = asyncio.StreamReader(limit=1024)
        reader.feed_data(sent)
        reader.feed_eof()
        return await socketmap.read(reader)

    return asyncio.run(serve())


def test_reads_map_and_key() -> None:
    """The key may have spaces; what follows is the next request."""
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
        b"513:" + b"x" * 513,
        b"1:\xff,",
        b"9" * 2000,
    ],
)
def test_refuses_anything_else(sent: bytes) -> None:
    """A peer that speaks another protocol is hung up on, not answered."""
    with pytest.raises(ProtocolError):
        read(sent)


@pytest.mark.parametrize("sent", [b"", b"15", b"15:tls exam"])
def test_a_peer_that_goes_is_gone(sent: bytes) -> None:
    """Between two requests that is the usual end."""
    with pytest.raises(EOFError):
        read(sent)


def test_writes_replies() -> None:
    """The length counts octets."""
    assert socketmap.render("OK secure match=a.test") == b"22:OK secure match=a.test,"
    assert socketmap.render("TEMP \u00e4") == "7:TEMP ä,".encode()
