"""What peers of the HTTP endpoints may do without anybody hearing of it."""

import asyncio
import logging
import socket

import pytest
from aiohttp import web

from chatmaild.service import http_server


def test_a_peer_that_hangs_up_in_its_body_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Anybody can close a connection, so it is no fault of ours and not logged as one."""
    outcome: asyncio.Queue[str] = asyncio.Queue()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await http_server.read_body(request, 1000)
        except TimeoutError:
            await outcome.put("late")
        return http_server.text_response("late", 408)

    async def hang_up() -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        runner = await http_server.start(listener, answer)
        _, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhello")
        await writer.drain()
        writer.close()
        try:
            async with asyncio.timeout(5):
                return await outcome.get()
        finally:
            await runner.cleanup()

    with caplog.at_level(logging.INFO):
        assert asyncio.run(hang_up()) == "late"

    assert "request failed" not in caplog.text
