"""
HTTP on UNIX sockets: for Dovecot, for nginx, and between programs of the relay.

aiohttp finds the routes, and answers malformed requests with 400. Two of its features are disabled:
it would decompress bodies (32 KB of gzip become 32 MB), and log a traceback with the client's data
for each malformed request.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler

from chatmaild.service.running import Service
from chatmaild.service.sockets import BACKLOG

# Both clients are local (Dovecot and nginx) and send a whole request at once.
BODY_SECONDS = 10.0
KEEPALIVE_SECONDS = 75.0


def json_response(
    value: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with a JSON object."""
    return web.json_response(dict(value), status=status, headers=headers)


def text_response(text: str, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with one line of text."""
    return web.Response(text=text + "\n", status=status, headers=headers)


async def read_body(request: web.Request) -> bytes:
    """
    Read the whole body.

    Raises:
        HTTPException: the body is larger than the server accepts (413), does not arrive within ten
            seconds (408), or is malformed or incomplete (400).

    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (ConnectionError, HttpProcessingError):
        raise web.HTTPBadRequest from None


async def serve(
    service: Service, name: str, path: Path, routes: Iterable[web.RouteDef], max_body: int
) -> None:
    """
    Answer requests on a UNIX socket until the daemon ends.

    Bodies that are read as a whole may have `max_body` octets.
    """
    # aiohttp already refuses a body of exactly its limit.
    application = web.Application(middlewares=[_answered], client_max_size=max_body + 1)
    application.add_routes(routes)
    runner = web.AppRunner(
        application,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=5,
    )
    await runner.setup()
    service.at_end(runner.cleanup)
    await web.SockSite(runner, service.listener(name, path), backlog=BACKLOG).start()


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse compressed bodies; forbid caching, because some answers contain secrets."""
    response: web.StreamResponse
    try:
        if "Content-Encoding" in request.headers:
            raise web.HTTPUnsupportedMediaType
        response = await handler(request)
    except web.HTTPException as refusal:
        headers = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else None
        response = json_response({"reason": refusal.reason.lower()}, refusal.status, headers)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Server"] = "chatmail"
    return response


def _without_traceback(record: logging.LogRecord) -> logging.LogRecord:
    """Log a malformed request in one line without its content."""
    fault = record.exc_info[1] if record.exc_info else None
    if not isinstance(fault, HttpProcessingError):
        return record
    line = {"name": record.name, "levelno": logging.INFO, "levelname": "INFO"}
    return logging.makeLogRecord(line | {"msg": "refused a malformed HTTP request"})


logging.getLogger("aiohttp.server").addFilter(_without_traceback)
