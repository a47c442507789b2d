"""Asking chatmail-accounts to change something; only root and its own user may."""

import http
from typing import Any

from chatmaild.admin.cli import CommandError
from chatmaild.config import Config
from chatmaild.service import http_client


def ask(config: Config, path: str, **fields: Any) -> dict[str, Any]:
    """
    Ask one thing; the answer's fields.

    Raises:
        CommandError: with the daemon's own sentence, or why it cannot be asked.

    """
    socket = config.paths.control_socket
    try:
        status, answer = http_client.ask(socket, path, **fields)
    except PermissionError:
        raise CommandError("only root may do that") from None
    except http_client.UnreachableError as error:
        raise CommandError(f"chatmail-accounts cannot be asked at {socket}: {error}") from None
    if status >= http.HTTPStatus.BAD_REQUEST:
        raise CommandError(str(answer["reason"]))
    return answer
