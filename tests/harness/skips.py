"""
Prints the skipped tests at the end of a pytest run: each reason with its count.

With several labs, each leaves its counts in the shared directory, and `team.py` prints the sum.
This module does not import pytest, because the lab's command has none before it is prepared.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.places import SHARED_VARIABLE

if TYPE_CHECKING:
    import pytest

PREFIX = "skipped-"
_shared: list[str] = []


def pytest_configure() -> None:
    """Read where counts go, before `sharing` removes the variable from the environment."""
    _shared[:] = [place for place in [os.environ.get(SHARED_VARIABLE)] if place]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the skipped tests, or leave them for the lab that prints the sum."""
    counts = Counter(
        reason(report.longrepr) for report in terminalreporter.stats.get("skipped", ())
    )
    if not counts:
        return
    if _shared:
        (Path(_shared[0]) / f"{PREFIX}{os.getpid()}").write_text(json.dumps(counts))
        return
    for line in lines(counts):
        terminalreporter.write_line(line)


def reason(longrepr: object) -> str:
    """Return the reason of a skipped test; pytest gives file, line and text."""
    text = longrepr[-1] if isinstance(longrepr, tuple) else longrepr
    return str(text).removeprefix("Skipped: ")


def left_in(place: Path) -> Counter[str]:
    """Return the sum of the counts in the shared directory."""
    counts: Counter[str] = Counter()
    for file in sorted(place.glob(f"{PREFIX}*")):
        counts.update(json.loads(file.read_text()))
    return counts


def lines(counts: Counter[str]) -> Iterable[str]:
    """Yield the lines of the summary, the largest group first."""
    if counts:
        yield f"not run: {counts.total()} tests (tests/README.md tells how to run them)"
    for text, count in counts.most_common():
        yield f"{count:6}  {text}"
