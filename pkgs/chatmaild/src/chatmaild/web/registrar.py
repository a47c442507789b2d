"""Queries chatmail-accounts: may a name be handed out, and is this the owner of an account."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import aiohttp

log = logging.getLogger(__name__)

SECONDS = 20.0
MAX_ANSWER_BYTES = 8192
# chatmail-accounts is restarting, or cannot be reached.
LATER = "This server cannot do that right now. Please try again later."


class RegistrarClient:
    """A connection to chatmail-accounts; create it inside the running loop."""

    def __init__(self, socket: Path) -> None:
        """Connect to `socket` at the first request."""
        self._session = aiohttp.ClientSession(
            "http://registrar",
            connector=aiohttp.UnixConnector(str(socket)),
            timeout=aiohttp.ClientTimeout(total=SECONDS),
        )

    async def ask(self, path: str, fields: Mapping[str, str]) -> tuple[int, str]:
        """Return the status and, unless it is 2xx, the reason for the user."""
        try:
            async with self._session.post(path, json=dict(fields)) as response:
                if response.ok:
                    return response.status, ""
                text = await response.content.read(MAX_ANSWER_BYTES)
                return response.status, str(json.loads(text)["reason"])
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError) as error:
            log.error("chatmail-accounts is unreachable: %s", type(error).__name__)  # noqa: TRY400
            return 503, LATER

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()
