"""Creates and deletes accounts over HTTPS."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from people import https

if TYPE_CHECKING:
    from harness.relay import Relay


def new_address(
    relay: Relay, path: str = "/new", *, source: str = "", address: str = "", method: str = "POST"
) -> tuple[int, dict[str, Any]]:
    """Request an address as a client does, from the local IP address; return status and answer."""
    response, content = https.ask(
        relay,
        method,
        path,
        host=address or relay.address,
        source=source,
        headers={"Host": relay.domain},
    )
    return response.status, json.loads(content)


def delete(
    relay: Relay, address: str, password: str, *, source: str = "", method: str = "POST"
) -> tuple[int, dict[str, Any]]:
    """Request the deletion of an account over HTTPS; return status and answer."""
    login = base64.b64encode(f"{address}:{password}".encode()).decode()
    response, content = https.ask(
        relay,
        method,
        "/delete",
        host=relay.address,
        source=source,
        headers={"Host": relay.domain, "Authorization": f"Basic {login}"},
    )
    return response.status, json.loads(content) if response.status != 405 else {}
