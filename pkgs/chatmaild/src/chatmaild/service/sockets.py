"""
The UNIX sockets the daemons listen on: handed over by systemd, or bound here without it.

A socket of systemd's outlives a restart of the daemon, so no connection is refused meanwhile.
"""

import socket
from pathlib import Path

# As many as Linux lets wait by itself (net.core.somaxconn).
BACKLOG = 4096


class SocketError(Exception):
    """A socket cannot be had; the text is one sentence for the operator."""


def listener(name: str, path: Path, passed: dict[str, socket.socket]) -> socket.socket:
    """
    Return the listening socket called `name` among the `passed` ones, else bind `path`.

    A socket bound here may be used by the user and group of the daemon only (mode 0660). The
    file of a daemon that died is replaced, the one of a living daemon is not.

    Raises:
        SocketError: the path cannot be bound, or somebody listens there.

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
        raise SocketError(f"{path}: cannot be listened on: {error.strerror or error}") from None
    return result


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
