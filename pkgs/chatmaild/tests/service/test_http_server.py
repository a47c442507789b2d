"""What peers of the HTTP endpoints may do without anybody hearing of it."""

import asyncio
import logging
from pathlib import Path

import pytest
from aiohttp import web

from chatmaild.service import http_server
from chatmaild.service.running import running


def test_a_peer_that_hangs_up_in_its_body_leaves_no_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody can close a connection, so it is no fault of ours and not logged as one."""
    path = tmp_path / "http.sock"
    outcome: asyncio.Queue[str] = asyncio.Queue()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await http_server.read_body(request, 1000)
        except TimeoutError:
            await outcome.put("late")
        return http_server.text_response("late", 408)

    async def hang_up() -> None:
        async with asyncio.timeout(10), running() as service:
            await http_server.serve(service, "http", path, answer)
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(b"POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhello")
            await writer.drain()
            writer.close()
            assert await outcome.get() == "late"
            service.stop.set()

    with caplog.at_level(logging.INFO):
        asyncio.run(hang_up())

    assert "request failed" not in caplog.text
