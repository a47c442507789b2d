"""
TURN credentials that expire, and the secret from which they are computed.

The username is the time of expiry, and the password is its HMAC ("TURN REST API",
draft-uberti-behave-turn-rest-00, section 2.2). So the TURN server needs no list of users, and a
credential does not reveal who requested it.

The TURN server bounds the allocations of each username. So an account gets one username a day: it
expires at a second of the day that a keyed hash of the address chooses. Core wants a username that
is a number and nothing else.
"""

import base64
import contextlib
import hashlib
import hmac
import logging
import secrets
from pathlib import Path

from chatmaild.config import Config, Turn
from chatmaild.service import daemon
from chatmaild.service.files import write_whole

log = logging.getLogger(__name__)

# Core requests new credentials when less than 12 hours are left. They cannot be revoked, so a
# blocked account can use the server for 37 hours at most.
MIN_LIFETIME_SECONDS = 13 * 3600
DAY_SECONDS = 24 * 3600
SECRET_BYTES = 32
# More than enough for the line that this module writes.
MAX_SECRET_BYTES = 1000


class TurnError(Exception):
    """The TURN server cannot be set up; the message is one sentence for the operator."""


def entry(turn: Turn, address: str, now: float) -> str | None:
    """
    Return `host:port:username:password` for an account, as core reads it from METADATA.

    `now` is Unix time. The username stays the same for a day, however often it is requested.

    None without a secret; clients then use their default servers.
    """
    try:
        secret = read_secret(turn.secret_file)
    except (OSError, ValueError):
        return None
    username = str(_expiry(secret, address, int(now)))
    return f"{turn.host}:{turn.port}:{username}:{password(secret, username)}"


def _expiry(secret: str, address: str, now: int) -> int:
    """Return the next of the account's daily times that is far enough away."""
    digest = hmac.digest(secret.encode(), f"account {address}".encode(), hashlib.sha256)
    second = int.from_bytes(digest[:8]) % DAY_SECONDS
    earliest = now + MIN_LIFETIME_SECONDS
    return earliest + (second - earliest) % DAY_SECONDS


def password(secret: str, username: str) -> str:
    """Return the password that the TURN server expects for a username."""
    # TURN servers require SHA-1. HMAC does not depend on its collision resistance.
    digest = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode()


def read_secret(path: Path) -> str:
    """
    Read the secret.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not one line of printable ASCII.

    """
    with path.open("rb") as file:
        text = file.read(MAX_SECRET_BYTES).decode("ascii").strip()
    if not text or not text.isprintable():
        raise ValueError(f"{path} contains no secret")
    return text


def ensure_secret(path: Path) -> str:
    """Return the secret; create it if necessary, readable by its group."""
    with contextlib.suppress(FileNotFoundError):
        return read_secret(path)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    write_whole(path, f"{secret}\n".encode(), 0o640, durable=True)
    log.info("created a new secret for credentials")
    return secret


def main(arguments: list[str] | None = None) -> int:
    """Write the TURN server's configuration: its settings followed by the secret."""
    return daemon.run(
        "chatmail-turn-config",
        "Write the configuration of the TURN server, with this host's own secret.",
        _work,
        (TurnError,),
        arguments,
    )


def _work(config: Config) -> None:
    turn = config.metadata.turn
    if turn is None:
        raise TurnError("the configuration has no TURN server (`metadata.turn`)")
    try:
        secret = ensure_secret(turn.secret_file)
        settings = turn.settings_file.read_bytes()
        write_whole(turn.server_file, settings + f"static-auth-secret={secret}\n".encode())
    except (OSError, ValueError) as error:
        raise TurnError(str(error)) from None
