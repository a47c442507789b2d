"""
TURN credentials that expire by themselves, and the secret they are made with.

The username is the time of expiry, the password its HMAC ("TURN REST API",
draft-uberti-behave-turn-rest-00, section 2.2): the TURN server needs no list of users, and nothing
in a credential says who asked for it.
"""

import base64
import contextlib
import hashlib
import hmac
import logging
import secrets
import sys
from pathlib import Path

from chatmaild.config import Config, Turn
from chatmaild.service import daemon
from chatmaild.service.files import write_whole

log = logging.getLogger(__name__)

# core asks anew when less than 12 hours are left. Nothing takes a credential back, so a blocked
# account can be relayed for no longer than this.
LIFETIME_SECONDS = 24 * 3600
SECRET_BYTES = 32
# Generous for the line that we write ourselves.
MAX_SECRET_BYTES = 1000


class TurnError(Exception):
    """The TURN server cannot be set up; the text is one sentence for the operator."""


def entry(turn: Turn, now: float) -> str | None:
    """
    Return `host:port:username:password` as core reads it from METADATA; `now` is Unix time.

    None while there is no secret, so that clients use what they have otherwise.
    """
    try:
        secret = read_secret(turn.secret_file)
    except (OSError, ValueError):
        return None
    username = str(int(now) + LIFETIME_SECONDS)
    return f"{turn.host}:{turn.port}:{username}:{password(secret, username)}"


def password(secret: str, username: str) -> str:
    """Return the password that the TURN server computes for a username."""
    # SHA-1 is what the servers speak; HMAC does not lean on its collision resistance.
    digest = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode()


def read_secret(path: Path) -> str:
    """
    Read the secret.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is not one line of printable ASCII.

    """
    with path.open("rb") as file:
        text = file.read(MAX_SECRET_BYTES).decode("ascii").strip()
    if not text or not text.isprintable():
        raise ValueError(f"{path} has no secret in it")
    return text


def ensure_secret(path: Path) -> str:
    """Return the secret, made now if there is none; its group may read it."""
    with contextlib.suppress(FileNotFoundError):
        return read_secret(path)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    write_whole(path, f"{secret}\n".encode(), 0o640, durable=True)
    log.info("made a new secret for credentials")
    return secret


def main(arguments: list[str] | None = None) -> int:
    """Write the configuration of the TURN server: the settings, and the secret below them."""
    return daemon.run(
        "chatmail-turn-config",
        "Write the configuration of the TURN server, with a secret of this host's.",
        _work,
        (TurnError,),
        arguments,
    )


def _work(config: Config) -> None:
    turn = config.metadata.turn
    if turn is None:
        raise TurnError("there is no TURN server in the configuration (`metadata.turn`)")
    try:
        secret = ensure_secret(turn.secret_file)
        settings = turn.settings_file.read_bytes()
        write_whole(turn.server_file, settings + f"static-auth-secret={secret}\n".encode())
    except (OSError, ValueError) as error:
        raise TurnError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
