"""
The daemons' UNIX sockets: passed by systemd, or created here.

A socket from systemd stays open while the daemon restarts, so no connection is refused.
"""

import socket
from pathlib import Path

# The maximum that Linux allows by default (net.core.somaxconn).
BACKLOG = 4096


class SocketError(Exception):
    """A socket cannot be opened; the message is one sentence for the operator."""


def listener(name: str, path: Path, passed: dict[str, socket.socket]) -> socket.socket:
    """
    Return the listening socket called `name` from `passed`, or bind `path`.

    A socket bound here can be used by the daemon's user and group (mode 0660). It replaces the file
    of a daemon that died, but not that of a running one.

    Raises:
        SocketError: the path cannot be bound, or another process listens there.

    """
    if name in passed:
        return passed[name]
    if _answers(path):
        raise SocketError(f"{path}: another process listens there")
    result = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        if path.is_socket():
            path.unlink(missing_ok=True)
        result.bind(str(path))
        path.chmod(0o660)
        result.listen(BACKLOG)
    except OSError as error:
        result.close()
        raise SocketError(f"{path}: cannot be opened: {error.strerror or error}") from None
    return result


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
