"""
The protocol of Dovecot's `script` service (src/util/script.c), on the side of the program.

A request is lines, ended by an empty one: `VERSION`, tab, `script` and the version; environment
variables as `env_NAME=value`; the word `noreply`; and one line for each argument. Dovecot does not
wait for an answer.
"""

import socket

# Dovecot sends a request at once.
REQUEST_SECONDS = 2.0
MAX_REQUEST_BYTES = 4096


def parse(request: bytes) -> str | None:
    """Return the argument of a request that has one; None for anything else."""
    if not request.endswith(b"\n\n"):
        return None
    try:
        lines = request[:-2].decode("ascii").split("\n")
    except UnicodeDecodeError:
        return None
    if not lines[0].startswith("VERSION\tscript\t4\t"):
        return None
    words = [line for line in lines[1:] if not line.startswith(("env_", "alarm="))]
    if len(words) != 2 or words[0] != "noreply":  # noqa: PLR2004 - the word and the argument
        return None
    return words[1]


def read(connection: socket.socket) -> bytes:
    """Read a request to its empty line; one that is late, too long or broken comes back short."""
    connection.settimeout(REQUEST_SECONDS)
    received = b""
    try:
        while not received.endswith(b"\n\n") and len(received) < MAX_REQUEST_BYTES:
            part = connection.recv(MAX_REQUEST_BYTES)
            if not part:
                break
            received += part
    except OSError:
        return b""
    return received
