"""How long a whole run takes: said at its start, from the last one on this host."""

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
    """A run that is being timed; only one that says `complete` is remembered."""

    complete: bool = False


@contextmanager
def timed(name: str, usual: str) -> Iterator[Run]:
    """
    Say how long `name` takes, run it, and remember how long it took if it was complete.

    `usual` is said until there was such a run on this host.
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
    """Return a duration as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"


def _load() -> dict[str, float]:
    try:
        known: dict[str, float] = json.loads((cache() / FILE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return known
