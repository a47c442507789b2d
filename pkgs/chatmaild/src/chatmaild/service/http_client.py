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

    def __init__(self, path: Path) -> None:
        super().__init__("local", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._path))


def ask(path: Path, request: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    """
    Send one request to the socket at `path`; return status and fields of the answer.

    Raises:
        PermissionError: the socket may not be opened.
        UnreachableError: there is no answer within 30 seconds, or it is not a JSON object.

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
        raise UnreachableError("the answer is not a JSON object")
    return response.status, answer
