"""HTTP servers: limits on clients, and log lines about them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.http import HttpProcessingError

import malformed
from chatmaild.service import http_server
from chatmaild.service.running import running

type Scene = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def whole(request: web.Request) -> web.Response:
    """Return the body."""
    body = await http_server.read_body(request)
    return http_server.text_response(body.decode(), 200)


async def pieces(request: web.Request) -> web.Response:
    """Read the body as mxdeliv does."""
    try:
        async for _ in request.content.iter_any():
            pass
    except HttpProcessingError:
        raise web.HTTPBadRequest from None
    return http_server.text_response("read", 200)


async def ignored(_request: web.Request) -> web.Response:
    """Answer without reading the body."""
    return http_server.text_response("ignored", 200)


async def fault(_request: web.Request) -> web.Response:
    """Raise an unexpected exception."""
    raise ZeroDivisionError


ROUTES = [
    web.post("/whole", whole),
    web.post("/pieces", pieces),
    web.post("/ignored", ignored),
    web.post("/fault", fault),
]


def play(directory: Path, scene: Scene) -> None:
    """Serve the routes, and run a test as their client."""

    async def served() -> None:
        async with asyncio.timeout(20), running() as service:
            path = directory / "http.sock"
            await http_server.serve(service, "http", path, ROUTES, 10)
            reader, writer = await asyncio.open_unix_connection(path)
            await scene(reader, writer)
            writer.close()
            service.stop.set()

    asyncio.run(served())


def answers(directory: Path, request: bytes) -> bytes:
    """Send a request; return the answer."""
    found = b""

    async def scene(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal found
        writer.write(request)
        found = await reader.readuntil(b"\r\n\r\n")

    play(directory, scene)
    return found


@pytest.mark.parametrize("path", [b"/whole", b"/pieces", b"/ignored", b"/missing"])
@pytest.mark.parametrize("name", malformed.REQUESTS)
def test_what_cannot_be_read_is_refused_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, path: bytes
) -> None:
    """Whether or not the handler reads the body; the log contains nothing of the request."""
    with caplog.at_level(logging.INFO):
        answer = answers(tmp_path, malformed.request(name, path))

    status = answer.split()[1]
    if path in (b"/ignored", b"/missing") and "fault" in name:
        assert status in (b"200", b"404", b"400")
    else:
        assert status == malformed.REQUESTS[name][1] or (path, status) == (b"/missing", b"404")
    assert "Traceback" not in caplog.text
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    ("line", "status", "allow"),
    [
        (b"POST /missing", b"404", b""),
        (b"POST /whole/", b"404", b""),
        (b"GET /whole", b"405", b"Allow: POST"),
        (b"PUT /whole", b"405", b"Allow: POST"),
        (b"POST http://helper/whole", b"200", b""),
    ],
)
def test_other_paths_and_methods_are_refused(
    tmp_path: Path, line: bytes, status: bytes, allow: bytes
) -> None:
    """Dovecot sends an absolute-form URL (RFC 9112 3.2.2)."""
    answer = answers(tmp_path, line + b" HTTP/1.1\r\nHost: relay\r\nContent-Length: 0\r\n\r\n")

    assert answer.split()[1] == status
    assert allow in answer
    assert b"Cache-Control: no-store" in answer
    assert b"Server: chatmail\r\n" in answer


@pytest.mark.parametrize(("size", "status"), [(10, b"200"), (11, b"413"), (100_000, b"413")])
def test_a_body_has_a_limit(tmp_path: Path, size: int, status: bytes) -> None:
    """Also if its length is not announced."""
    head = b"POST /whole HTTP/1.1\r\nHost: relay\r\n"
    plain = head + b"Content-Length: %d\r\n\r\n" % size + b"x" * size
    chunked = (
        head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"
    )

    for request in (plain, chunked):
        assert answers(tmp_path, request).split()[1] == status


def test_a_missing_body_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clients send a whole request at once."""
    monkeypatch.setattr(http_server, "BODY_SECONDS", 0.1)
    request = b"POST /whole HTTP/1.1\r\nHost: relay\r\nContent-Length: 9\r\n\r\nhello"

    assert answers(tmp_path, request).split()[1] == b"408"


def test_a_client_that_disconnects_early_leaves_no_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Any client can do this, so it is not an error."""

    async def hung_up() -> None:
        ended = asyncio.Event()

        async def waits(request: web.Request) -> web.Response:
            try:
                return await whole(request)
            finally:
                ended.set()

        async with asyncio.timeout(20), running() as service:
            path = tmp_path / "http.sock"
            await http_server.serve(service, "http", path, [web.post("/waits", waits)], 10)
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(b"POST /waits HTTP/1.1\r\nHost: relay\r\nContent-Length: 9\r\n\r\nhello")
            await writer.drain()
            writer.close()
            await ended.wait()
            service.stop.set()

    with caplog.at_level(logging.INFO):
        asyncio.run(hung_up())

    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "ready",
        "since start",
    ]


def test_a_bug_is_an_error_with_its_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client learns nothing about it."""
    answer = answers(tmp_path, b"POST /fault HTTP/1.1\r\nHost: relay\r\nContent-Length: 0\r\n\r\n")

    assert answer.split()[1] == b"500"
    assert b"ZeroDivision" not in answer
    assert "ZeroDivisionError" in caplog.text
