"""
Opens sockets in another network namespace, without a process there.

setns(2) moves a single thread, and a socket always belongs to the namespace in which it was
created. So a thread moves there, creates the socket, and returns it.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000

Made = TypeVar("Made")
_libc = ctypes.CDLL(None, use_errno=True)


def enter(namespace: Path) -> None:
    """Move the calling thread into a network namespace."""
    with namespace.open() as file:  # os.setns needs Python 3.12
        if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(namespace))


def inside(namespace: Path, make: Callable[[], Made]) -> Made:
    """Call `make` in a network namespace and return its result."""
    made: list[Made] = []
    problems: list[Exception] = []

    def there() -> None:
        try:
            enter(namespace)
            made.append(make())
        except Exception as problem:  # noqa: BLE001 (raised again in the calling thread)
            problems.append(problem)

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return made[0]


def connect(namespace: Path, address: str, port: int, timeout: float = 5) -> socket.socket:
    """Return a TCP connection from a network namespace. Raises OSError; `timeout` is in seconds."""
    return inside(namespace, lambda: socket.create_connection((address, port), timeout=timeout))


def answers(namespace: Path, address: str, port: int) -> bool:
    """Return whether a TCP port accepts connections from there."""
    try:
        connect(namespace, address, port, timeout=2).close()
    except OSError:
        return False
    return True
