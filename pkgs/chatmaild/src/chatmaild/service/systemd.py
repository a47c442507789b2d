"""
Report readiness to systemd (sd_notify(3)) and take its sockets (sd_listen_fds(3)).

Both are a few lines of environment and one datagram, so no library is loaded for them.
"""

import os
import socket
from collections.abc import MutableMapping

# sd_listen_fds(3): passed descriptors start after stdin, stdout and stderr.
LISTEN_FDS_START = 3


def notify(state: str) -> bool:
    """
    Tell systemd something, e.g. `READY=1`, `STOPPING=1` or `STATUS=...`; see sd_notify(3).

    Returns False when nobody listens (not started by systemd, or its socket is gone): a daemon
    never fails for lack of a listener.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(address)
            sender.sendall(state.encode())
    except OSError:
        return False
    return True


def listen_fds(environ: MutableMapping[str, str] = os.environ) -> dict[str, socket.socket]:
    """
    Take the sockets systemd passed to this process, by their `FileDescriptorName=`.

    The variables are removed, so that a child process does not believe they were meant for it.
    Empty when the process was not socket-activated. Where two sockets share a name, the first one
    is taken and the others are closed.
    """
    pid = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    result: dict[str, socket.socket] = {}
    for index in range(int(count)):
        listener = socket.socket(fileno=LISTEN_FDS_START + index)
        listener.set_inheritable(False)
        name = names[index] if index < len(names) else "unknown"
        if name in result:
            listener.close()
            continue
        result[name] = listener
    return result
