"""Asking another daemon of the relay: JSON by POST over its UNIX socket, one question at a time."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

SECONDS = 30


class UnreachableError(Exception):
    """The daemon cannot be asked or does not answer as it should; the text says why."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("local", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._path))


def ask(path: Path, request: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    """
    Ask one thing on the socket at `path`; the status and the answer's fields.

    Raises:
        PermissionError: the socket may not be opened.
        UnreachableError: there is no answer within 30 seconds, or none that is a JSON object.

    """
    connection = _Connection(path)
    try:
        connection.request("POST", request, json.dumps(fields))
        response = connection.getresponse()
        answer = json.loads(response.read())
    except PermissionError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(str(error)) from None
    finally:
        connection.close()
    if not isinstance(answer, dict):
        raise UnreachableError("the answer is no JSON object")
    return response.status, answer
