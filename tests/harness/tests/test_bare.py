"""The lab on a new host."""

from __future__ import annotations

import subprocess
import sys

from harness.places import TESTS

LOAD = "import sys; sys.path.insert(0, sys.argv[1]); import harness.cli, harness.commands"


def test_the_command_needs_only_python() -> None:
    """It installs everything else; an import of pytest stopped it before that."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LOAD, str(TESTS)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
