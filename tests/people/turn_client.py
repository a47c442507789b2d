"""Calls through a relay: credentials from METADATA, and allocations made with them (aioice)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aioice import stun, turn

from people.dialogue import Dialogue, insecure
from people.people import Person

# RFC 8656 18.7: 1 or 2 in the first octet.
stun.ATTRIBUTES_BY_NAME["REQUESTED-ADDRESS-FAMILY"] = (
    0x0017,
    "REQUESTED-ADDRESS-FAMILY",
    stun.pack_unsigned,
    stun.unpack_unsigned,
)
IPV6 = 0x02000000

# Each port is used once, because coturn remembers an allocation's five-tuple for a while.
_ports = itertools.count(20000)

PREFIX = "/shared/vendor/deltachat/"


@dataclass(frozen=True)
class Offer:
    """The parsed value of the METADATA entry `turn`."""

    host: str
    port: int
    username: str
    password: str

    @classmethod
    def of(cls, person: Person) -> Offer:
        """Request it as a client does after login."""
        value = metadata(person, "turn")
        assert value is not None
        host, port, username, password = value.split(":")
        return cls(host, int(port), username, password)


def metadata(person: Person, name: str) -> str | None:
    """Return an entry of the server, or None for NIL."""
    with Dialogue.connect(person.relay.address, 993, insecure()) as imap:
        imap.line()
        imap.answer(f'LOGIN "{person.address}" "{person.password}"')
        lines = imap.answer(f'GETMETADATA "" {PREFIX}{name}')
    assert lines[-1].startswith("a OK "), lines
    return None if lines[0].endswith(" NIL)") else lines[1].removesuffix(")")


class Mailbox(asyncio.DatagramProtocol):
    """Received datagrams with their senders."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Store it."""
        self.arrived.put_nowait((data, addr))

    async def next(self, seconds: float = 5) -> tuple[bytes, Any]:
        """Wait for the next one."""
        return await asyncio.wait_for(self.arrived.get(), seconds)


class Client(turn.TurnClientUdpProtocol):
    """A client that requests a relayed address of the address family that it uses itself."""

    async def request(self, request: stun.Message) -> tuple[stun.Message, tuple[str, int]]:
        """Add the address family to an allocation request."""
        if request.message_method is stun.Method.ALLOCATE and ":" in self.server[0]:
            request.attributes["REQUESTED-ADDRESS-FAMILY"] = IPV6
        return await super().request(request)


@dataclass
class Allocation:
    """A relayed address and the datagrams that arrive there."""

    client: Client
    inbox: Mailbox

    @property
    def address(self) -> tuple[str, int]:
        """The relayed address and port."""
        assert self.client.relayed_address is not None
        return self.client.relayed_address

    async def send(self, data: bytes, peer: tuple[str, int]) -> None:
        """Send through the relay; raises aioice's TransactionFailed if the peer is refused."""
        await self.client.send_data(data, peer)


@asynccontextmanager
async def allocation(
    server: tuple[str, int], username: str, password: str, *, source: str = ""
) -> AsyncIterator[Allocation]:
    """
    Hold an allocation, optionally from the local address `source`.

    Raises aioice's TransactionFailed if the server refuses it.
    """
    inbox = Mailbox()
    loop = asyncio.get_running_loop()
    here = (source or ("::" if ":" in server[0] else "0.0.0.0"), next(_ports))
    _, client = await loop.create_datagram_endpoint(
        lambda: Client(server, username, password, 600, 500),
        local_addr=here,
        remote_addr=server,
    )
    client.receiver = inbox
    try:
        await client.connect()
        yield Allocation(client, inbox)
    finally:
        with suppress(stun.TransactionError):
            await client.delete()
