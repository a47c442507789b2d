"""Behaviour of clients of the HTTP endpoints that must not be logged."""

import asyncio
import logging
from pathlib import Path

import pytest
from aiohttp import web

from chatmaild.service import http_server
from chatmaild.service.running import running


def test_a_client_that_disconnects_early_leaves_no_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Any client can do this, so it is not an error."""
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
