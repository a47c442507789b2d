"""
Saves evidence of a failed test: journal, units and mail queue of every machine, and transcripts.

It is in tests/evidence/<test id>/, and tests/evidence/last links to the newest.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from harness.errors import LabError
from harness.machine import Machine, machines
from harness.places import EVIDENCE

# This file in the lab's state directory means that a failed test's machines are kept.
SIT = "sit"
COMMANDS = {
    "journal.txt": ["journalctl", "--no-pager", "--output=short-precise"],
    "units.txt": ["systemctl", "list-units", "--all", "--no-pager", "--plain"],
    "queue.txt": ["postqueue", "-p"],
    "processes.txt": ["ps", "-eo", "pid,user,stat,rss,etime,args", "--forest"],
    "sockets.txt": ["ss", "-tlnpH"],
}

_transcripts: dict[str, Callable[[], str]] = {}


def attach(name: str, text: Callable[[], str]) -> None:
    """Save `text()` beside the journals, as `name`, if the running test fails."""
    _transcripts[name] = text


def forget() -> None:
    """Start a new test without the transcripts of the previous one."""
    _transcripts.clear()


def collect(test: str, report: str) -> Path:
    """Write everything to the test's directory; errors in this are only recorded."""
    directory = EVIDENCE / re.sub(r"[^\w.\[\]-]+", "-", test).strip("-")[:150]
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "failure.txt").write_text(report)
    for name, text in _transcripts.items():
        try:
            (directory / name).write_text(text())
        except Exception as problem:  # noqa: BLE001 (whatever a test hands over)
            (directory / name).write_text(f"no transcript: {problem}\n")
    for machine in machines().values():
        _collect(machine, directory / machine.name)
    last = EVIDENCE / "last"
    last.unlink(missing_ok=True)
    last.symlink_to(directory.name)
    return directory


def _collect(machine: Machine, directory: Path) -> None:
    directory.mkdir()
    if machine.console.exists():
        shutil.copy(machine.console, directory / "console.txt")
    if not machine.running():
        (directory / "journal.txt").write_text("the machine was not running; see console.txt\n")
        return
    for name, command in COMMANDS.items():
        try:
            said = machine.run(command, check=False, timeout=20)
            (directory / name).write_text(said.out + said.err)
        except LabError as problem:
            (directory / name).write_text(f"{problem}\n")
