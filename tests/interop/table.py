"""
What worked with what: rows that tests report, and the table made of them.

`make test-interop` renews the table of the
repository; every other run prints its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

FAILED = "FAILED"
LISTED_VERSIONS = 3
HEAD = """\
# Works with

Programs that were run against a relay, and the outcome. This file is generated: `make test-interop` runs them all and writes it anew.

"out" is what an account submits, "in" what comes from another server. Where a relay is called strict, it refuses cleartext from outside
(`incoming.cleartext = false`).

"""  # noqa: E501 (the width of the repository's Markdown)
COLUMNS = ("Program", "Version", "Direction", "What was done", "Result")


@dataclass
class Row:
    """One thing that was tried with one version of a program."""

    program: str
    version: str
    direction: str
    done: str
    result: str = "works"

    def cells(self) -> tuple[str, ...]:
        """Return its cells in the order of `COLUMNS`."""
        return (self.program, self.version, self.direction, self.done, self.result)


def merged(rows: Iterable[Row]) -> list[Row]:
    """
    Join rows that differ in the version only, then those that differ in what was done only.

    Their order is that in which they came.
    """
    versions: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        same = (row.program, row.direction, row.done, row.result)
        versions.setdefault(same, []).append(row)
    deeds: dict[tuple[str, ...], list[Row]] = {}
    for group in versions.values():
        row = replace(group[0], version=_range([one.version for one in group]))
        deeds.setdefault((row.program, row.version, row.direction, row.result), []).append(row)
    return [
        replace(group[0], done="; ".join(one.done for one in group)) for group in deeds.values()
    ]


def markdown(rows: Iterable[Row]) -> str:
    """Return the whole document."""
    cells = [COLUMNS, tuple("---" for _ in COLUMNS), *(row.cells() for row in merged(rows))]
    return HEAD + "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _range(versions: Sequence[str]) -> str:
    """Name versions that came in their own order."""
    different = list(dict.fromkeys(versions))
    if len(different) <= LISTED_VERSIONS:
        return ", ".join(different)
    return f"{different[0]} to {different[-1]} ({len(different)} versions)"
