"""Announces how long a run takes, based on the last one on this host."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness import progress
from harness.places import cache

FILE = "durations.json"


@dataclass
class Run:
    """A timed run; only a `complete` one is remembered."""

    complete: bool = False


@contextmanager
def timed(name: str, usual: str) -> Iterator[Run]:
    """
    Announce the duration of `name`, run it, and remember its duration if it was complete.

    `usual` is announced before the first such run on this host.
    """
    started = time.monotonic()
    before = _load().get(name)
    expected = usual if before is None else f"{spoken(before)} last time on this host"
    progress.say(f"· {name}: {expected}")
    run = Run()
    yield run
    took = time.monotonic() - started
    progress.say(f"· {name} took {spoken(took)}")
    if run.complete:
        known = _load() | {name: round(took)}
        (cache() / FILE).write_text(json.dumps(known))


def spoken(seconds: float) -> str:
    """Return a duration in words."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"


def _load() -> dict[str, float]:
    try:
        known: dict[str, float] = json.loads((cache() / FILE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return known
