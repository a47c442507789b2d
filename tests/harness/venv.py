"""The clients' Python environment: the pinned packages of tests/requirements.txt, in the cache."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from pathlib import Path

from harness import progress
from harness.errors import CommandFailedError, FullDiskError, LabError, is_full
from harness.places import TESTS, UNUSED_SECONDS, cache, locked
from harness.process import execute

REQUIREMENTS = TESTS / "requirements.txt"
INSTALL_SECONDS = 900


def venv() -> Path:
    """Return the environment's directory; create it if it is not cached."""
    inputs = [sys.version, sys.prefix, REQUIREMENTS.read_text()]
    key = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:12]
    shelf = cache() / "venvs"
    wanted = shelf / key
    finished = wanted / "finished"
    with locked(shelf / "lock"):
        if not finished.exists():
            _prune(shelf)
            with progress.step("installing the test clients (pip, once)"):
                _install(wanted)
        finished.touch()
    return wanted


def python() -> Path:
    """Return the environment's interpreter."""
    return venv() / "bin" / "python"


def _prune(shelf: Path) -> None:
    """Remove environments that no process can be using any more, and unfinished ones."""
    for old in shelf.iterdir():
        used = old / "finished"
        if old.is_dir() and not (
            used.exists() and time.time() - used.stat().st_mtime < UNUSED_SECONDS
        ):
            shutil.rmtree(old)


def _install(where: Path) -> None:
    try:
        execute([sys.executable, "-m", "venv", str(where)], timeout=INSTALL_SECONDS)
        pip = [str(where / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        wanted = ["install", "--quiet", "--requirement", str(REQUIREMENTS)]
        execute([*pip, *wanted], timeout=INSTALL_SECONDS)
    except CommandFailedError as failure:
        if is_full(failure.output):
            raise FullDiskError(where, "the test clients take 300 MB") from None
        errors = [line for line in failure.output.splitlines() if "ERROR" in line]
        why = errors[0] if errors else (failure.output.strip().splitlines() or ["no word"])[-1]
        raise LabError(
            f"pip could not install {REQUIREMENTS} ({why}); check that this host reaches PyPI"
        ) from None
