"""Sends one HTTPS request, accepting any certificate."""

from __future__ import annotations

import http.client
from contextlib import closing
from typing import TYPE_CHECKING

from people.dialogue import SECONDS, insecure

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from harness.relay import Relay


def ask(
    relay: Relay,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    host: str = "",
    source: str = "",
    tls: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[http.client.HTTPResponse, bytes]:
    """
    Send one request; return the response and its content.

    `host` is the name or IP address to connect to, if not the relay's domain. `source` is the local
    IP address.
    """
    connection = http.client.HTTPSConnection(
        host or relay.domain,
        timeout=SECONDS,
        context=tls or insecure(),
        source_address=(source, 0) if source else None,
    )
    with closing(connection):
        connection.request(method, path, body, headers=headers or {})
        response = connection.getresponse()
        return response, response.read()


def get(relay: Relay, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """Request a path; names of header fields have underscores."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(relay, "GET", path, headers=fields)
