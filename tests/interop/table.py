"""
The table of compatible programs, made of rows that tests report.

`make test-interop` renews the table of the repository; every other run prints its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

FAILED = "FAILED"
LISTED_VERSIONS = 3
HEAD = """\
# Works with

Programs that were tested with a relay, and the results. This file is generated: `make test-interop` tests them all and writes it again.

"out" is mail that an account submits, "in" is mail from another server. A strict relay refuses cleartext from outside
(`incoming.cleartext = false`).

"""  # noqa: E501 (the width of the repository's Markdown)
COLUMNS = ("Program", "Version", "Direction", "What was done", "Result")


@dataclass
class Row:
    """One test of one version of a program."""

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
    Join rows that differ only in the version, then rows that differ only in the action.

    They keep the order in which they were reported.
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
    """Abbreviate versions, which are in order."""
    different = list(dict.fromkeys(versions))
    if len(different) <= LISTED_VERSIONS:
        return ", ".join(different)
    return f"{different[0]} to {different[-1]} ({len(different)} versions)"
