"""
Report the counters of a daemon on a UNIX socket.

Each connection gets one JSON object and is closed. Nothing is read from the peer, so there is
nothing to get wrong.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ASK_SECONDS = 5.0
TELL_SECONDS = 2.0
MAX_BYTES = 65_536


class NumbersError(Exception):
    """Numbers cannot be had; the text is one sentence for the operator."""


def tell_forever(listener: socket.socket, numbers: Callable[[], Mapping[str, Any]]) -> None:
    """Answer on a thread of its own, which ends with the process."""

    def answer() -> None:
        while True:
            # A peer that does not read, or is gone, is no fault of ours.
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                connection.settimeout(TELL_SECONDS)
                connection.sendall(encode(numbers()))

    threading.Thread(target=answer, name="numbers", daemon=True).start()


def encode(numbers: Mapping[str, Any]) -> bytes:
    """Write the answer to one connection."""
    return json.dumps(numbers).encode()


def ask(path: Path) -> dict[str, Any]:
    """
    Return the numbers of the daemon behind a socket.

    Raises:
        NumbersError: it does not answer within five seconds, or not with numbers.

    """
    received = b""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ASK_SECONDS)
            connection.connect(str(path))
            while part := connection.recv(MAX_BYTES):
                received += part
                if len(received) > MAX_BYTES:
                    break
        answer = json.loads(received)
    except (OSError, ValueError, RecursionError) as error:
        raise NumbersError(f"{path}: {error}") from None
    if not isinstance(answer, dict):
        raise NumbersError(f"{path}: is no JSON object")
    return answer
