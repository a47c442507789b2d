"""
The name by which chatmail-web says EHLO to Postfix when it hands on mail that came by HTTPS.

Postfix' listener for it is a port of loopback and believes the peer's address that it is told, on
which the mail of a relay without a domain depends. So only who knows this name is served: it is
random, made once on the host, and readable by chatmail-web and by Postfix when it starts.
"""

import re
import secrets
from pathlib import Path

from chatmaild.config import ConfigError
from chatmaild.service.files import write_whole

_LINE = re.compile(r"([0-9a-f]{64}) OK\n")


def own_name(path: Path) -> str:
    """
    Read the name from a table for Postfix' check_helo_access; make it if there is none.

    Raises:
        ConfigError: the file cannot be written, or holds something else.

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
