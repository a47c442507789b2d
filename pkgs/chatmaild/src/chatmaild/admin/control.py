"""Requests changes from chatmail-accounts; only root and the daemon's user are allowed to."""

import http
from typing import Any

from chatmaild.admin.command import CommandError
from chatmaild.config import Config


def ask(config: Config, path: str, **fields: Any) -> dict[str, Any]:
    """
    Send one request; return the fields of the answer.

    Raises:
        CommandError: the daemon refuses, with its reason, or does not answer.

    """
    from chatmaild.service import http_client

    socket = config.paths.control_socket
    try:
        status, answer = http_client.ask(socket, path, **fields)
    except PermissionError:
        raise CommandError("only root may do that") from None
    except http_client.UnreachableError as error:
        raise CommandError(f"chatmail-accounts does not answer at {socket}: {error}") from None
    if status >= http.HTTPStatus.BAD_REQUEST:
        raise CommandError(str(answer["reason"]))
    return answer
