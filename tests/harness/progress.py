"""Progress messages: what is being done, and how long it took."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SIGN_OF_LIFE_SECONDS = 15


def say(text: str) -> None:
    """Print a line for the user on standard error; standard output belongs to the command."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Announce a step, print signs of life while it lasts, and print how long it took."""
    start = time.monotonic()
    done = threading.Event()
    say(f"· {text}")

    def sign() -> None:
        while not done.wait(SIGN_OF_LIFE_SECONDS):
            say(f"  … {text}: {time.monotonic() - start:.0f} s so far")

    thread = threading.Thread(target=sign, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    say(f"  done in {time.monotonic() - start:.1f} s")
