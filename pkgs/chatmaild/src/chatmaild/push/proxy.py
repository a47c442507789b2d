"""
The push proxy's HTTP interface: a POST request whose body is a device token and nothing else.

The proxy (https://notifications.delta.chat/notify or a compatible one) learns only that a device
should wake, from which relay, and when. Status 200 means success, and 410 that the token is no
longer valid. All other errors are considered temporary.
"""

import enum
import ssl
from http import HTTPStatus
from pathlib import Path

import aiohttp

# Longer than a slow proxy needs, but short enough not to block all connections for long.
TIMEOUT_SECONDS = 15.0
DNS_CACHE_SECONDS = 60


class PushOutcome(enum.Enum):
    """The result of a notification."""

    DONE = enum.auto()
    TOKEN_DEAD = enum.auto()
    FAILED = enum.auto()


class PushProxy:
    """Persistent connections to the proxy."""

    def __init__(self, url: str, authorities: Path, connections: int) -> None:
        """Trust the CA certificates in a PEM file; call this inside the running event loop."""
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

    async def post(self, token: str) -> tuple[PushOutcome, str]:
        """Send one token; return the outcome and an error message that does not contain it."""
        try:
            try:
                status = await self._status(token)
            except aiohttp.ServerDisconnectedError:
                # The proxy closed an idle connection just as it was used again.
                status = await self._status(token)
        except TimeoutError:
            return PushOutcome.FAILED, f"no response within {TIMEOUT_SECONDS:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return PushOutcome.FAILED, type(error).__name__
        if status == HTTPStatus.OK:
            return PushOutcome.DONE, ""
        if status == HTTPStatus.GONE:
            return PushOutcome.TOKEN_DEAD, ""
        return PushOutcome.FAILED, f"HTTP status {status}"

    async def _status(self, token: str) -> int:
        async with self._session.post(
            self._url, data=token.encode("ascii"), allow_redirects=False
        ) as response:
            return response.status

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
