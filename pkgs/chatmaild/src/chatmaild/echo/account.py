"""
How the bot gets its account: by a password of its own, on a socket that only the bot can open.

The password lies in the bot's state directory and is written before it is used, so a start that is
cut short is only begun again.
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
    """How the relay sees the bot's account."""

    GOOD = "good"
    NEW = "new"
    UNKNOWN = "unknown"


class OutError(Exception):
    """The relay does not let the bot in; the text says why."""


def password(state: Path) -> str:
    """Return the bot's password, made up the first time; only its owner may read the file."""
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
    Ask for the account, which is made where there is none; UNKNOWN when nobody can say.

    Raises:
        OutError: the account is blocked, or somebody else's.

    """
    try:
        status, answer = http_client.ask(socket, "/account", password=word)
    except (PermissionError, http_client.UnreachableError):
        return Standing.UNKNOWN
    if status == http.HTTPStatus.OK:
        return Standing.NEW if answer.get("created") else Standing.GOOD
    if status == http.HTTPStatus.FORBIDDEN:
        raise OutError(str(answer.get("reason", "refused")))
    return Standing.UNKNOWN
