"""
A small HTTP server for the grant and for the web endpoint, made of aiohttp.

By default aiohttp reveals its version in every answer, logs a traceback with the client's data for
a malformed request, and reads up to a megabyte of body. Here answers are short, a malformed request
gets a one-line 400, and readers limit the body.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import web

from chatmaild.service.running import Service
from chatmaild.service.sockets import BACKLOG

log = logging.getLogger(__name__)

# Both clients are local (Dovecot and nginx) and send a whole request at once.
BODY_SECONDS = 10.0
KEEPALIVE_SECONDS = 75.0

type Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def json_response(
    value: Mapping[str, str], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with a JSON object; it is never cached, because it contains a secret."""
    response = web.json_response(dict(value), status=status, headers=headers)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Server"] = "chatmail"
    return response


def text_response(text: str, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with one line of text."""
    response = web.Response(text=text + "\n", status=status, headers=headers)
    response.headers["Server"] = "chatmail"
    return response


async def read_body(request: web.BaseRequest, max_bytes: int) -> bytes | None:
    """
    Read the whole body; return None if it is larger than `max_bytes`.

    Raises:
        TimeoutError: the body did not arrive within ten seconds, or the client disconnected.

    """
    if (request.content_length or 0) > max_bytes:
        return None
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > max_bytes:
                    return None
    except ConnectionError:
        raise TimeoutError("the client disconnected before the end of the body") from None
    return body


class _Protocol(web.RequestHandler):
    """One connection; answers to malformed requests reveal nothing about the program."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer 400 to a malformed request or 500 after a bug, and close the connection."""
        if status >= 500:  # noqa: PLR2004 - a server error, RFC 9110 15.6
            log.error("http: request failed", exc_info=exc)
        else:
            log.info("http: refused a malformed request")
        response = text_response("bad request" if status < 500 else "internal error", status)  # noqa: PLR2004
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=asyncio.get_running_loop(), **self._kwargs)


async def serve(service: Service, name: str, path: Path, answer: Answer) -> None:
    """Answer every request on a UNIX socket until the daemon ends."""
    server = _Server(
        answer, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, max_line_size=4096
    )
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=5)
    await runner.setup()
    service.at_end(runner.cleanup)
    await web.SockSite(runner, service.listener(name, path), backlog=BACKLOG).start()
