"""
`POST /mxdeliv`: mail from another relay over HTTPS.

X-MAIL-FROM is the envelope sender (empty or absent for a bounce), X-MAIL-TO each recipient, and the
body the message. Everything goes to Postfix' service for port 25, on loopback and with the peer's
IP address in front (PROXY protocol). So the same checks apply and the same replies come back: 200
with "250 OK", 400 with the SMTP reply, 413 for a message above the limit. If too many messages
arrive at once, the answer is 503 immediately. The sender then uses SMTP and does not wait for slow
strangers.

The body is streamed, so no message is in memory as a whole.
"""

import asyncio
import ipaddress
import re

from aiohttp import web
from aiohttp.http import HttpProcessingError

from chatmaild.config import Config
from chatmaild.service import http_server
from chatmaild.service.counters import Counters
from chatmaild.web.handover import own_name

TOO_LARGE = "552 Message exceeds maximum size"
REPLY_SECONDS = 90.0
"""Postfix waits up to 60 s for the filter at the end of a message."""
BODY_SECONDS = 300.0
"""Enough for 30 MB over a slow line; a sender gives up earlier and uses SMTP."""
AT_ONCE = 100
"""nginx allows a fifth of them to one network."""
MAX_REPLY_BYTES = 8192

_places = asyncio.Semaphore(AT_ONCE)
_ADDRESS = re.compile(r"[!-;=?-~]{1,320}")  # printable ASCII except angle brackets


class SmtpRefusedError(Exception):
    """Postfix refuses; the message is its reply."""


async def answer(config: Config, counters: Counters, request: web.Request) -> web.Response:
    """Deliver one message to Postfix and return its reply."""
    if (request.content_length or 0) > config.message.max_size:
        return http_server.text_response(TOO_LARGE, 413)
    if _places.locked():
        counters.add("mail", "put-off")
        return http_server.text_response("451 4.3.2 Too many messages at once", 503)
    try:
        sender, recipients = _envelope(request)
        async with asyncio.timeout(BODY_SECONDS), _places:
            await _deliver(request, config, sender, recipients)
    except SmtpRefusedError as error:
        counters.add("mail", "refused")
        # Postfix and the contract use different texts for this error.
        code = 413 if str(error).startswith("552 ") and "exceeds" in str(error) else 400
        return http_server.text_response(TOO_LARGE if code == 413 else str(error), code)  # noqa: PLR2004
    except HttpProcessingError:
        raise web.HTTPBadRequest from None
    except (OSError, EOFError, TimeoutError, ValueError):
        counters.add("mail", "put-off")
        return http_server.text_response("451 4.3.0 Local error", 400)
    counters.add("mail", "taken")
    return http_server.text_response("250 OK", 200)


def _envelope(request: web.Request) -> tuple[str, list[str]]:
    """Return the sender ("" for a bounce) and the recipients; raises `RefusedError`."""
    sender = request.headers.get("X-MAIL-FROM", "")
    recipients = request.headers.getall("X-MAIL-TO", [])
    if sender and not _ADDRESS.fullmatch(sender):
        raise SmtpRefusedError("501 5.1.7 Bad sender address syntax")
    if not recipients or not all(_ADDRESS.fullmatch(one) for one in recipients):
        raise SmtpRefusedError("501 5.1.3 Bad recipient address syntax")
    return sender, recipients


async def _deliver(
    request: web.Request, config: Config, sender: str, recipients: list[str]
) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", config.https.smtp, limit=MAX_REPLY_BYTES
    )
    try:
        peer = ipaddress.ip_address(request.headers.get("X-Real-IP", ""))
        family, here = ("TCP4", "127.0.0.1") if peer.version == 4 else ("TCP6", "::1")  # noqa: PLR2004
        writer.write(f"PROXY {family} {peer} {here} 443 {config.https.smtp}\r\n".encode())
        await _expect(reader, "2")
        await _say(reader, writer, f"EHLO {own_name(config.paths.handover_name)}", "2")
        size = f" SIZE={request.content_length}" if request.content_length else ""
        await _say(reader, writer, f"MAIL FROM:<{sender}>{size}", "2")
        for recipient in recipients:
            # If one recipient is refused, all are: there is one answer for the request.
            await _say(reader, writer, f"RCPT TO:<{recipient}>", "2")
        await _say(reader, writer, "DATA", "3")
        await _body(request, writer, config.message.max_size)
        await _expect(reader, "2")
    finally:
        writer.transport.abort()


async def _body(request: web.Request, writer: asyncio.StreamWriter, limit: int) -> None:
    """Forward the body with dot-stuffing (RFC 5321 4.5.2)."""
    total = 0
    before = b"\r\n"  # the last octets that were sent
    async for chunk in request.content.iter_any():
        total += len(chunk)
        if total > limit:
            raise SmtpRefusedError(TOO_LARGE)
        text = (before + chunk).replace(b"\r\n.", b"\r\n..")[len(before) :]
        writer.write(text)
        await writer.drain()
        before = (before + chunk)[-2:]
    writer.write((b"" if before == b"\r\n" else b"\r\n") + b".\r\n")
    await writer.drain()


async def _say(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str, wanted: str
) -> None:
    writer.write(f"{line}\r\n".encode("ascii"))
    await _expect(reader, wanted)


async def _expect(reader: asyncio.StreamReader, wanted: str) -> None:
    """Read a reply; raises `RefusedError` unless its code begins with `wanted`."""
    lines: list[str] = []
    async with asyncio.timeout(REPLY_SECONDS):
        while not lines or lines[-1][3:4] == "-":
            raw = await reader.readuntil(b"\n")
            lines.append(raw.decode("utf-8", "replace").rstrip("\r\n"))
            if len(lines) > 100:  # noqa: PLR2004 - EHLO has twenty
                raise ValueError("the reply is too long")
    if not lines[-1].startswith(wanted):
        raise SmtpRefusedError("\n".join(lines))
