"""
The push proxy's HTTP interface: a POST whose body is a device token, and nothing else.

The proxy (https://notifications.delta.chat/notify, or one that speaks like it) learns that some
device should wake, from which relay, and when. 200 means done and 410 that the token is dead;
everything else may pass.
"""

import enum
import ssl
from http import HTTPStatus
from pathlib import Path

import aiohttp

# Longer than a proxy needs on a bad day, shorter than what blocks all connections for long.
TIMEOUT_SECONDS = 15.0
DNS_CACHE_SECONDS = 60


class Outcome(enum.Enum):
    """What became of a notification."""

    DONE = enum.auto()
    TOKEN_DEAD = enum.auto()
    FAILED = enum.auto()


class PushProxy:
    """Connections to the proxy, kept open between notifications."""

    def __init__(self, url: str, authorities: Path, connections: int) -> None:
        """Trust the certificate authorities in a PEM file; to be called inside the running loop."""
        self._url = url
        trust = ssl.create_default_context(cafile=authorities) if url.startswith("https:") else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=connections, ssl=trust, ttl_dns_cache=DNS_CACHE_SECONDS
            ),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=["User-Agent", "Accept", "Accept-Encoding"],
        )

    async def post(self, token: str) -> tuple[Outcome, str]:
        """Hand one token over; the text says for the operator what went wrong, without it."""
        try:
            try:
                status = await self._status(token)
            except aiohttp.ServerDisconnectedError:
                # The proxy closed a connection that was idle, just as we used it again.
                status = await self._status(token)
        except TimeoutError:
            return Outcome.FAILED, f"no answer within {TIMEOUT_SECONDS:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome.FAILED, type(error).__name__
        if status == HTTPStatus.OK:
            return Outcome.DONE, ""
        if status == HTTPStatus.GONE:
            return Outcome.TOKEN_DEAD, ""
        return Outcome.FAILED, f"HTTP status {status}"

    async def _status(self, token: str) -> int:
        async with self._session.post(
            self._url, data=token.encode("ascii"), allow_redirects=False
        ) as response:
            return response.status

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
