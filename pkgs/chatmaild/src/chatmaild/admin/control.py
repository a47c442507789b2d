"""Asking chatmail-accounts to change something; only root and its own user may."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from chatmaild.admin.cli import CommandError
from chatmaild.config import Config

SECONDS = 30


class _Connection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("control", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._path))


def ask(config: Config, path: str, **fields: Any) -> dict[str, Any]:
    """
    Ask one thing; the answer's fields.

    Raises:
        CommandError: with the daemon's own sentence, or why it cannot be asked.

    """
    connection = _Connection(config.paths.control_socket)
    try:
        connection.request("POST", path, json.dumps(fields))
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
    except PermissionError:
        raise CommandError("only root may do that") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CommandError(
            f"chatmail-accounts cannot be asked at {config.paths.control_socket}: {error}"
        ) from None
    finally:
        connection.close()
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        raise CommandError(str(answer["reason"]))
    return answer
