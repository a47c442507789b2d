"""
Simulates latency: a TCP proxy that delays all data, for kernels without netem.

Data is written after the one-way delay, in order, and without limiting the throughput. A connection
takes the additional round trip of its handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

CHUNK = 256 * 1024
# The maximum amount of data in transit per direction. It exceeds delay times throughput of a
# virtual Ethernet (25 ms of 10 Gbit/s: 31 MB).
IN_FLIGHT = 64 * 1024 * 1024

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


class Cable:
    """One direction of one connection: data leaves `delay` seconds after it arrived."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._delay = delay
        self._flying: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()

    async def take(self, not_before: float = 0) -> None:
        """Read until the end; data before `not_before` (loop time) counts as arrived then."""
        loop = asyncio.get_running_loop()
        while True:
            while self._bytes > IN_FLIGHT:
                await self._change()
            data = await self._reader.read(CHUNK)
            self._flying.append((max(loop.time(), not_before) + self._delay, data))
            self._bytes += len(data)
            self._changed.set()
            if not data:
                return

    async def give(self) -> None:
        """Write the data that is due, and pass on the end."""
        loop = asyncio.get_running_loop()
        while True:
            while not self._flying:
                await self._change()
            due, data = self._flying[0]
            await asyncio.sleep(due - loop.time())
            self._flying.popleft()
            self._bytes -= len(data)
            self._changed.set()
            if not data:
                self._writer.write_eof()
                return
            self._writer.write(data)
            await self._writer.drain()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Distance:
    """Listens at the address `near` for a host `far`, as if `round_trip` seconds away."""

    def __init__(self, near: str, far: str, round_trip: float) -> None:
        self.near = near
        self.far = far
        self.round_trip = round_trip
        self._carrying: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listening(self, ports: Sequence[int]) -> AsyncIterator[None]:
        """Forward connections to these ports until the block ends, which closes open ones."""
        async with contextlib.AsyncExitStack() as stack:
            for port in ports:
                serve = self._server(port)
                server = await asyncio.start_server(serve, self.near, port, limit=CHUNK)
                stack.callback(server.close)
            try:
                yield
            finally:
                for task in self._carrying:
                    task.cancel()
                await asyncio.gather(*self._carrying, return_exceptions=True)

    def _server(self, port: int) -> Accept:
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._carry(reader, writer, port))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

        return connected

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
    ) -> None:
        loop = asyncio.get_running_loop()
        one_way = self.round_trip / 2
        # Over a real distance, connect() returns after one round trip, and the server accepts when
        # the third packet arrives.
        connected = loop.time() + self.round_trip
        streams = [writer]
        try:
            await asyncio.sleep(self.round_trip + one_way)
            far_reader, far_writer = await asyncio.open_connection(self.far, port, limit=CHUNK)
            streams.append(far_writer)
            for stream in streams:
                sock = stream.get_extra_info("socket")
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            outward = Cable(reader, far_writer, one_way)
            homeward = Cable(far_reader, writer, one_way)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(outward.take(connected))
                tasks.create_task(outward.give())
                tasks.create_task(homeward.take())
                tasks.create_task(homeward.give())
            for stream in streams:
                stream.close()
                await stream.wait_closed()
        except* OSError:
            pass  # one side broke the connection; the other side is closed below
        finally:
            for stream in streams:
                stream.transport.abort()


async def _main(near: str, far: str, milliseconds: float, ports: list[int]) -> None:
    async with Distance(near, far, milliseconds / 1000).listening(ports):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    # NEAR FAR ROUND_TRIP_MS PORT…; prints "ready" when it listens, ends with SIGTERM.
    asyncio.run(
        _main(sys.argv[1], sys.argv[2], float(sys.argv[3]), [int(port) for port in sys.argv[4:]])
    )
