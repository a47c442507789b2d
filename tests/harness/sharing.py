"""
One run of tests by several labs: each takes the next file that no other has taken.

The labs are processes of pytest that collect the same tests. `LAB_SHARED` names a directory in
which a file of tests is claimed by a file; what a lab that dies had claimed nobody else runs, and
the status of the whole says that it died.

Tests marked `alone` measure time: their files come last, one after the other, when nothing else
runs.
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
    """Run what no other lab has taken; without other labs, pytest's own loop does."""
    # What the tests start is no part of this.
    place = os.environ.pop(SHARED_VARIABLE, None)
    if not place or session.testsfailed or session.config.option.collectonly:
        return None
    with (Path(place) / "running").open("a") as running:
        fcntl.flock(running, fcntl.LOCK_SH)
        shared = True
        items = claimed(session.items, Path(place))
        item = next(items, None)
        while item is not None:
            # Claimed before this one is run: what a file has set up goes with its last test.
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
    """Claim file after file and hand over its tests, those that are to be alone at the end."""
    files = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
    for number, file in sorted(enumerate(files), key=lambda numbered: is_alone(numbered[1][0])):
        try:
            os.close(os.open(place / f"{number}", os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        yield from file


def is_alone(item: pytest.Item) -> bool:
    """Whether nothing else may run beside the tests of its file."""
    return item.get_closest_marker(ALONE) is not None
