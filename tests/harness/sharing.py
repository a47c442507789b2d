"""
Shares one test run between several labs: each takes the next file that no other lab has taken.

The labs are pytest processes that collect the same tests. `LAB_SHARED` names a directory in which
each lab claims test files. If a lab dies, no other lab runs its claimed files, and the exit status
of the run reports this.

Tests marked `alone` measure time: their files run last, one after the other, without other tests.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pytest

from harness.places import SHARED_VARIABLE

ALONE = "alone"


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests that no other lab has taken; without other labs, pytest's own loop does."""
    # Programs that the tests start must not take part.
    place = os.environ.pop(SHARED_VARIABLE, None)
    if not place or session.testsfailed or session.config.option.collectonly:
        return None
    with (Path(place) / "running").open("a") as running:
        fcntl.flock(running, fcntl.LOCK_SH)
        shared = True
        items = claimed(session.items, Path(place))
        item = next(items, None)
        while item is not None:
            # The next file is claimed before this one runs, because a file's fixtures end with its
            # last test.
            following = next(items, None)
            if shared and is_alone(item):
                fcntl.flock(running, fcntl.LOCK_EX)
                shared = False
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
            item = following
    return True


def claimed(items: Sequence[pytest.Item], place: Path) -> Iterator[pytest.Item]:
    """Claim file after file and yield its tests, with `alone` files at the end."""
    files = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
    for number, file in sorted(enumerate(files), key=lambda numbered: is_alone(numbered[1][0])):
        try:
            os.close(os.open(place / f"{number}", os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        yield from file


def is_alone(item: pytest.Item) -> bool:
    """Return whether the file of this test must run alone."""
    return item.get_closest_marker(ALONE) is not None
