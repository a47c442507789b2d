"""A client for other daemons of the relay: JSON by POST over their UNIX sockets."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

SECONDS = 30


class UnreachableError(Exception):
    """The daemon cannot be reached or gives an invalid answer; the message is the reason."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("local", timeout=seconds)
        self._path = path
        self._seconds = seconds

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(self._seconds)
        self.sock.connect(str(self._path))


def ask(
    path: Path, request: str, *, seconds: float = SECONDS, **fields: Any
) -> tuple[int, dict[str, Any]]:
    """
    Send one request to the socket at `path`; return status and fields of the answer.

    Raises:
        PermissionError: the socket may not be opened.
        UnreachableError: there is no answer within so many seconds, or it is not a JSON object.

    """
    connection = _Connection(path, seconds)
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
        raise UnreachableError("the answer is not a JSON object")
    return response.status, answer
