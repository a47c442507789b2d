"""
How the bot gets its account: with its own password, on a socket that only the bot can open.

The password is in the bot's state directory. It is written before it is used, so that an
interrupted start can simply be repeated.
"""

import http
import secrets
from enum import Enum
from pathlib import Path

from chatmaild.service import http_client
from chatmaild.service.files import write_whole

PASSWORD_BYTES = 32
FILE = "password"


class Standing(Enum):
    """The state of the bot's account on the relay."""

    GOOD = "good"
    NEW = "new"
    UNKNOWN = "unknown"


class AccountRefusedError(Exception):
    """The relay refuses the bot; the message is the reason."""


def password(state: Path) -> str:
    """Return the bot's password; create it at first use, readable only by its owner."""
    path = state / FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    word = secrets.token_urlsafe(PASSWORD_BYTES)
    write_whole(path, f"{word}\n".encode(), durable=True)
    return word


def claim(socket: Path, word: str) -> Standing:
    """
    Claim the account, which is created if necessary; return UNKNOWN if the relay does not answer.

    Raises:
        AccountRefusedError: the account is blocked, or belongs to another user.

    """
    try:
        status, answer = http_client.ask(socket, "/account", password=word)
    except (PermissionError, http_client.UnreachableError):
        return Standing.UNKNOWN
    if status == http.HTTPStatus.OK:
        return Standing.NEW if answer.get("created") else Standing.GOOD
    if status == http.HTTPStatus.FORBIDDEN:
        raise AccountRefusedError(str(answer.get("reason", "refused")))
    return Standing.UNKNOWN
