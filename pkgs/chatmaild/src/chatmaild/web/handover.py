"""
The EHLO name that chatmail-web uses with Postfix for mail that came by HTTPS.

Postfix accepts this mail on a loopback port, and trusts the peer's address that it is given there.
The mail of relays without a domain depends on this address. So Postfix serves only clients that
know this name. It is random, created once on the host, and readable only by chatmail-web and, at
its start, by Postfix.
"""

import re
import secrets
from pathlib import Path

from chatmaild.config import ConfigError
from chatmaild.service.files import write_whole

_LINE = re.compile(r"([0-9a-f]{64}) OK\n")


def own_name(path: Path) -> str:
    """
    Return the name from a table for Postfix' check_helo_access; create it if necessary.

    Raises:
        ConfigError: the file cannot be written, or has other content.

    """
    try:
        found = _LINE.fullmatch(path.read_text())
    except FileNotFoundError:
        name = secrets.token_hex(32)
        _write(path, name)
        return name
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if found is None:
        raise ConfigError(f"{path}: is damaged; delete it, then restart chatmail-web and Postfix")
    return found[1]


def _write(path: Path, name: str) -> None:
    try:
        write_whole(path, f"{name} OK\n".encode(), durable=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
