"""`tests/lab check` without root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.places import CHECKOUT

CHECK = """
import sys
from harness import host, nix_style
host.prepare_check()
sys.exit(nix_style.check())
"""
NOBODY = "65534"


@pytest.fixture
def checkout() -> Iterator[Path]:
    """Copy the checkout to where every user can read it."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        for name in ("modules", "tests/harness"):
            shutil.copytree(CHECKOUT / name, Path(place, name))
        yield Path(place)


def check(checkout: Path, path: str) -> subprocess.CompletedProcess[str]:
    """Check the Nix files as an ordinary user with this PATH."""
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    return subprocess.run(
        [*become, "/usr/bin/env", f"PATH={path}", "/usr/bin/python3", "-c", CHECK],
        env={"PYTHONPATH": str(checkout / "tests"), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nix_files_are_checked_without_root(checkout: Path) -> None:
    """Root owns Nix' own store, which is not needed to parse files."""
    good = check(checkout, os.environ["PATH"])
    (checkout / "modules" / "default.nix").write_text("{ ]\n")
    bad = check(checkout, os.environ["PATH"])

    assert (good.returncode, good.stderr) == (0, "")
    assert bad.returncode == 1
    assert "syntax error" in bad.stderr


def test_a_missing_nix_is_reported_in_one_sentence(checkout: Path) -> None:
    """Everything else is still checked, and the result is a failure."""
    done = check(checkout, "/nonexistent")

    assert done.returncode == 1
    assert "apt-get install nix-bin" in done.stdout
    assert done.stderr == ""
