"""
The connections from Postfix, all served by one thread.

Postfix writes a whole header at once and waits for only two answers: to the recipient and at the
end. So a message costs few system calls and no thread switch. With libmilter, which uses a thread
per command, it cost 75 system calls and 14 switches. With 50 senders that took 1.7 times the CPU
time (`tests/lab bench --only pipeline`).
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
"""Larger than the buffer of a UNIX socket (208 KB), so one read drains it."""
ROOM_BYTES = 134_217_728
"""
Memory limit for messages that arrive or wait for a verdict, per role, on machines of any size.

Postfix hands over a message only when it is complete, so it is usually here for milliseconds.
"""

MAX_UNREAD_BYTES = 1_048_576
"""Larger than the longest answer without a new body, which deletes a thousand fields by name."""

log = logging.getLogger("chatmail-filter")


class Connection(asyncio.BufferedProtocol):
    """
    One connection.

    It needs no time-out. Only Postfix can open the socket, with at most `connections.smtp`
    processes per service. They end with their clients, and Postfix limits the time of these.
    """

    # All connections share it: on the event loop's one thread, each read is processed before the
    # next.
    _buffer = memoryview(bytearray(RECEIVE_BYTES))

    def __init__(self, pipeline: Pipeline, budgets: Mapping[Role, MemoryBudget]) -> None:
        """Start before negotiation."""
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
        """Return the buffer for the next read."""
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        """Process the data; disconnect a peer that does not speak the protocol."""
        try:
            for command, data in self._reader.feed(bytes(self._buffer[:count])):
                self._take(command, data)
        except MilterProtocolError as error:
            log.error("not the milter protocol: %s", error)  # noqa: TRY400 - not our fault
            self._hang_up()

    def _take(self, command: int, data: bytes) -> None:
        if self._transport is None:
            return
        if self._judging:
            raise MilterProtocolError("a command before the answer to the last one")
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
        """Judge on a separate thread, because many messages may wait for the DNS."""
        self._judging = True
        if self._transport is not None:
            self._transport.pause_reading()
        try:
            threading.Thread(target=self._judge, args=(judging,), daemon=True).start()
        except RuntimeError as error:  # the thread limit of the unit or of the machine
            self._judged(self._session.stumble(error, milter_protocol.END))

    def _judge(self, judging: Judging) -> None:
        answer = judging()
        with contextlib.suppress(RuntimeError):  # the daemon has stopped
            self._loop.call_soon_threadsafe(self._judged, answer)

    def _judged(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)
        if not self._unread:
            self._done()

    def _done(self) -> None:
        """Accept the next command; the memory of the message is free now."""
        self._judging = self._unread = False
        self._session.forget()
        if self._transport is not None:
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Wait until a new body is read; disconnect a peer that does not read other answers."""
        if self._judging:
            self._unread = True
            return
        log.error("the client does not read its answers; one megabyte is waiting")
        self._hang_up()

    def resume_writing(self) -> None:
        """Continue after a new body was read."""
        if self._unread:
            self._done()

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the message; if it is being judged, `_judged` does that later."""
        self._transport = None
        if self._unread or not self._judging:
            self._done()


async def serve(pipeline: Pipeline, listener: socket.socket) -> asyncio.Server:
    """Answer Postfix on a listening UNIX socket until the returned server is closed."""
    size = max(ROOM_BYTES, 4 * pipeline.max_size)
    # Separate budgets, so that strangers cannot use up the memory for the relay's users.
    budgets = {role: MemoryBudget(size) for role in Role}
    return await asyncio.get_running_loop().create_unix_server(
        lambda: Connection(pipeline, budgets), sock=listener, backlog=sockets.BACKLOG
    )
