"""
Notifies systemd (sd_notify(3)) and takes its sockets (sd_listen_fds(3)).

Both need only a few lines of code, so no library is loaded for them.
"""

import os
import socket
from collections.abc import MutableMapping

# sd_listen_fds(3): the passed descriptors follow stdin, stdout and stderr.
LISTEN_FDS_START = 3


def notify(state: str) -> bool:
    """
    Send a state to systemd, e.g. `READY=1`, `STOPPING=1` or `STATUS=...`; see sd_notify(3).

    Returns False if nothing receives it (not started by systemd, or its socket is gone). A daemon
    never fails because of this.
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
    Return the sockets that systemd passed to this process, by `FileDescriptorName=`.

    The variables are removed, so that child processes do not use them. The result is empty without
    socket activation. If two sockets have the same name, the first is used and the others are
    closed.
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
