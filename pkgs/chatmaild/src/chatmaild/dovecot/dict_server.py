"""
A server for Dovecot's dict protocol on a UNIX socket.

The clients are Dovecot's mail processes, but keys and values come from strangers. Dovecot waits 30
(2.4.1) to 65 seconds (2.4.5) for an answer, and meanwhile a delivery or a user waits too. No
setting of Dovecot shortens this. So the server limits sizes, counts and times.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chatmaild.dovecot import dict_protocol as protocol
from chatmaild.dovecot.dict_protocol import Change, DictProtocolError

log = logging.getLogger(__name__)

# A device token has at most 4096 characters. A longer METADATA value must still be read, so that
# the transaction refuses it and the connection stays usable.
MAX_LINE_BYTES = 128 * 1024
MAX_CONNECTIONS = 4096
MAX_OPEN_TRANSACTIONS = 16
MAX_CHANGES = 64
MAX_TRANSACTION_CHARACTERS = 256 * 1024
# Dovecot 2.4.5 keeps connections open for further lookups. A client that vanished without closing
# its connection is dropped after this time.
IDLE_SECONDS = 600.0
ANSWER_SECONDS = 5.0


class DictRefusedError(Exception):
    """The handler refuses the request; the message is one sentence, which Dovecot logs."""


class Handler(Protocol):
    """Implements the keys; each method may raise DictRefusedError."""

    async def lookup(self, key: str, user: str) -> str | None:
        """Return the value of a key, or None if it has none."""

    async def iterate(self, path: str, user: str) -> Sequence[tuple[str, str]]:
        """Return the keys below a path, with their values."""

    async def commit(self, user: str, changes: Sequence[Change]) -> None:
        """Apply all changes of one transaction."""


@dataclass(slots=True)
class _Transaction:
    user: str
    changes: list[Change] = field(default_factory=list)
    characters: int = 0
    too_large: bool = False

    def add(self, change: Change) -> None:
        match change:
            case protocol.Set(_, key, value):
                self.characters += len(key) + len(value)
            case protocol.Unset(_, key) | protocol.Increment(_, key, _):
                self.characters += len(key)
        if len(self.changes) >= MAX_CHANGES or self.characters > MAX_TRANSACTION_CHARACTERS:
            self.too_large = True
            self.changes.clear()
        if not self.too_large:
            self.changes.append(change)


class DictServer:
    """Serves any number of connections with one handler."""

    def __init__(
        self,
        handler: Handler,
        *,
        idle_seconds: float = IDLE_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        """Use `handler`; pass `serve` to `asyncio.start_unix_server(limit=MAX_LINE_BYTES)`."""
        self._handler = handler
        self._idle_seconds = idle_seconds
        self._answer_seconds = answer_seconds
        self._max_connections = max_connections
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until the client closes it, stays silent, or violates the protocol."""
        if self._connections >= self._max_connections:
            log.warning("dict: refused a connection beyond the limit of %d", self._max_connections)
            writer.close()
            return
        self._connections += 1
        try:
            await self._converse(reader, writer)
        except (ConnectionError, TimeoutError):
            pass
        except DictProtocolError as error:
            log.warning("dict: connection closed: %s", error)
            writer.write(protocol.failed(str(error)))
        finally:
            self._connections -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transactions: dict[int, _Transaction] = {}
        while True:
            async with asyncio.timeout(self._idle_seconds):
                line = await _read_line(reader)
            if line is None:
                return
            answer = await self._answer(protocol.parse(line), transactions)
            if answer is not None:
                writer.write(answer)
                async with asyncio.timeout(self._idle_seconds):
                    await writer.drain()

    async def _answer(
        self, command: protocol.Command, transactions: dict[int, _Transaction]
    ) -> bytes | None:
        match command:
            case protocol.Lookup(key, user):
                return await self._lookup(key, user)
            case protocol.Iterate(_, max_rows, path, user):
                return await self._iterate(path, user, max_rows)
            case protocol.Begin(number, user):
                if number in transactions:
                    raise DictProtocolError("a transaction was begun twice")
                if len(transactions) >= MAX_OPEN_TRANSACTIONS:
                    raise DictProtocolError("too many transactions are open")
                transactions[number] = _Transaction(user)
            case protocol.Commit(number):
                transaction = transactions.pop(number, None)
                if transaction is None:
                    return protocol.commit_failed(number, "no such transaction is open")
                return await self._commit(number, transaction)
            case protocol.Rollback(number):
                transactions.pop(number, None)
            case protocol.Hello(major, _, _):
                if major != 4:  # noqa: PLR2004 - DICT_CLIENT_PROTOCOL_MAJOR_VERSION
                    raise DictProtocolError("the client speaks a major version other than 4")
            case change:
                if change.transaction not in transactions:
                    raise DictProtocolError("a change belongs to no open transaction")
                transactions[change.transaction].add(change)
        return None

    async def _lookup(self, key: str, user: str) -> bytes:
        try:
            async with asyncio.timeout(self._answer_seconds):
                value = await self._handler.lookup(key, user)
        except (DictRefusedError, TimeoutError) as error:
            return protocol.failed(str(error) or "no answer in time")
        return protocol.not_found() if value is None else protocol.found(value)

    async def _iterate(self, path: str, user: str, max_rows: int) -> bytes:
        try:
            async with asyncio.timeout(self._answer_seconds):
                pairs = await self._handler.iterate(path, user)
        except (DictRefusedError, TimeoutError) as error:
            return protocol.failed(str(error) or "no answer in time")
        return protocol.iteration(pairs[:max_rows] if max_rows else pairs)

    async def _commit(self, number: int, transaction: _Transaction) -> bytes:
        if transaction.too_large:
            return protocol.commit_failed(number, "the transaction is too large")
        try:
            async with asyncio.timeout(self._answer_seconds):
                await self._handler.commit(transaction.user, transaction.changes)
        except (DictRefusedError, TimeoutError) as error:
            return protocol.commit_failed(number, str(error) or "no answer in time")
        return protocol.committed(number)


async def _read_line(reader: asyncio.StreamReader) -> bytes | None:
    """Read up to LF; return None at the end of input, and drop an incomplete line."""
    try:
        return (await reader.readuntil(b"\n"))[:-1]
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise DictProtocolError("a line is too long") from None
