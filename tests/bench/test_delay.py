"""Tests of the delaying proxy."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time

from harness.delay import Distance

NEAR, FAR = "127.0.0.2", "127.0.0.1"
ROUND_TRIP = 0.05
DEADLINE = 30


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello\n")
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _through(payload: bytes) -> tuple[list[float], bytes]:
    """Return the times of connect(), greeting and first answer, and the echoed payload."""
    server = await asyncio.start_server(_echo, FAR, 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Distance(NEAR, FAR, ROUND_TRIP).listening([port]):
        times = [time.monotonic()]
        reader, writer = await asyncio.open_connection(NEAR, port)
        await reader.readline()
        times.append(time.monotonic())
        writer.write(b"ping\n")
        await reader.readline()
        times.append(time.monotonic())
        writer.write(payload)
        writer.write_eof()
        back = await reader.read()
        writer.close()
    return times, back


def test_a_round_trip_takes_its_time() -> None:
    """Too little delay would flatter the relay; the handshake is one more round trip."""
    (start, greeted, answered), _ = asyncio.run(asyncio.wait_for(_through(b""), DEADLINE))
    assert greeted - start >= 2 * ROUND_TRIP
    assert answered - greeted >= ROUND_TRIP


def test_everything_arrives_in_order_up_to_the_end() -> None:
    """Many chunks are in transit at once and must keep their order."""
    payload = os.urandom(16 * 1024 * 1024)
    _, back = asyncio.run(asyncio.wait_for(_through(payload), DEADLINE))
    assert hashlib.sha256(back).digest() == hashlib.sha256(payload).digest()


def test_a_missing_server_ends_the_connection() -> None:
    """A client behind the proxy must not wait forever."""

    async def refused() -> bytes:
        server = await asyncio.start_server(_echo, FAR, 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        async with Distance(NEAR, FAR, ROUND_TRIP).listening([port]):
            reader, writer = await asyncio.open_connection(NEAR, port)
            try:
                return await reader.read()
            except ConnectionResetError:
                return b""
            finally:
                writer.close()

    assert asyncio.run(asyncio.wait_for(refused(), DEADLINE)) == b""
