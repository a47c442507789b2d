"""HTTP requests that are wrong in some way, for any path."""

import gzip
import socket
from pathlib import Path

HEAD = b"POST %s HTTP/1.1\r\nHost: relay\r\n"
BOMB = gzip.compress(b"\0" * 30_000_000)

REQUESTS: dict[str, tuple[bytes, bytes]] = {
    "noise": (b"\0\1\2\3\r\n\r\n", b"400"),
    "no length": (HEAD + b"Content-Length: nine\r\n\r\n", b"400"),
    "two lengths": (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"400"),
    "no field": (HEAD + b"no field\r\n\r\n", b"400"),
    "no chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    "late fault": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n", b"400"),
    "long line": (b"POST %s?" + b"n" * 10_000 + b" HTTP/1.1\r\n\r\n", b"400"),
    "long field": (HEAD + b"X: " + b"n" * 10_000 + b"\r\n\r\n", b"400"),
    "gzip": (
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB,
        b"415",
    ),
    "no gzip": (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", b"415"),
    "brotli": (HEAD + b"Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc", b"415"),
    "unknown": (HEAD + b"Content-Encoding: \xf3\r\nContent-Length: 3\r\n\r\nabc", b"415"),
}
"""By name: the request with a place for its path, and the status of the answer."""


def request(name: str, path: bytes) -> bytes:
    """Return a request for a path."""
    return REQUESTS[name][0].replace(b"%s", path, 1)


def answer(place: Path, name: str, path: str) -> bytes:
    """Send a request to a UNIX socket; return the status of the answer."""
    return status(place, request(name, path.encode()))


def status(place: Path, request: bytes) -> bytes:
    """Send any octets to a UNIX socket; return the status of the answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(place))
        connection.sendall(request)
        found = connection.recv(65536)
    assert b"Traceback" not in found
    return found.split()[1]
