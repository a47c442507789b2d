"""
The connections from Postfix: bytes in, bytes out, one thread for all of them.

Postfix writes a whole header at once and waits for two answers, to the recipient and at the end, so
with the packets of many connections read in turn a message costs few system calls and no change of
threads. With libmilter's thread for each command it was 75 and 14, and with 50 senders 1.7 times
the processor time (`tests/lab bench --only pipeline`).
"""

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Mapping
from typing import cast

from chatmaild.filter.pipeline import Pipeline
from chatmaild.filter.policy import Role
from chatmaild.filter.session import Judging, MemoryBudget, Session
from chatmaild.postfix import milter_protocol
from chatmaild.postfix.milter_protocol import MilterProtocolError, Reader
from chatmaild.service import sockets

RECEIVE_BYTES = 262_144
"""Above what a UNIX socket holds, 208 KB: one look empties it."""
ROOM_BYTES = 134_217_728
"""
Of arriving and undecided mail, for each kind: on the smallest machines, too.

Postfix has a message whole before it gives it to the filter, so it is here for milliseconds.
"""

MAX_UNREAD_BYTES = 1_048_576
"""Above the longest answer without a new body: it deletes a thousand fields by their names."""

log = logging.getLogger("chatmail-filter")


class Connection(asyncio.BufferedProtocol):
    """
    One connection.

    It has no time-out: only Postfix gets at the socket, with at most `connections.smtp` processes
    a service that end with their clients, whose time Postfix bounds.
    """

    # Each look at a socket ends before the next one begins, on the one thread of the event loop.
    _buffer = memoryview(bytearray(RECEIVE_BYTES))

    def __init__(self, pipeline: Pipeline, budgets: Mapping[Role, MemoryBudget]) -> None:
        """Start with nothing said."""
        self._session = Session(pipeline, budgets)
        self._reader = Reader()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._judging = False
        self._unread = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=MAX_UNREAD_BYTES)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Say where the next octets go."""
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        """Take what came; a peer that does not speak the protocol is hung up on."""
        try:
            for command, data in self._reader.feed(bytes(self._buffer[:count])):
                self._take(command, data)
        except MilterProtocolError as error:
            log.error("not the milter protocol: %s", error)  # noqa: TRY400 - no fault of ours
            self._hang_up()

    def _take(self, command: int, data: bytes) -> None:
        if self._transport is None:
            return
        if self._judging:
            raise MilterProtocolError("a command while the last one has no answer")
        if command == milter_protocol.QUIT:
            self._transport.close()
            self._transport = None
            return
        answer = self._session.handle(command, data)
        if not isinstance(answer, bytes):
            self._begin(answer)
        elif answer:
            self._transport.write(answer)

    def _begin(self, judging: Judging) -> None:
        """Judge on a thread of its own: there are as many as messages that wait for the DNS."""
        self._judging = True
        if self._transport is not None:
            self._transport.pause_reading()
        try:
            threading.Thread(target=self._judge, args=(judging,), daemon=True).start()
        except RuntimeError as error:  # the unit's or the machine's limit of threads
            self._judged(self._session.stumble(error, milter_protocol.END))

    def _judge(self, judging: Judging) -> None:
        answer = judging()
        with contextlib.suppress(RuntimeError):  # the daemon has ended meanwhile
            self._loop.call_soon_threadsafe(self._judged, answer)

    def _judged(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)
        if not self._unread:
            self._done()

    def _done(self) -> None:
        """Take the next command; only now is there room for another message."""
        self._judging = self._unread = False
        self._session.forget()
        if self._transport is not None:
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Wait until a new body is read; otherwise hang up on a peer that does not read."""
        if self._judging:
            self._unread = True
            return
        log.error("a megabyte of answers that nobody reads")
        self._hang_up()

    def resume_writing(self) -> None:
        """Go on after a new body."""
        if self._unread:
            self._done()

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the message, unless it is being judged, which then ends for nobody."""
        self._transport = None
        if self._unread or not self._judging:
            self._done()


async def serve(pipeline: Pipeline, listener: socket.socket) -> asyncio.Server:
    """Answer Postfix on a listening UNIX socket until the server returned is closed."""
    size = max(ROOM_BYTES, 4 * pipeline.max_size)
    # Strangers take no room from the relay's own people.
    budgets = {role: MemoryBudget(size) for role in Role}
    return await asyncio.get_running_loop().create_unix_server(
        lambda: Connection(pipeline, budgets), sock=listener, backlog=sockets.BACKLOG
    )
