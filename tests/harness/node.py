"""The npm packages of tests/interop/node in the cache, as pinned by its lock file."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from harness import host, progress
from harness.errors import CommandFailedError, LabError
from harness.places import TESTS, UNUSED_SECONDS, cache, locked
from harness.process import host as on_host

DECLARED = TESTS / "interop" / "node"
FILES = ("package.json", "package-lock.json")
# Node.js looks for a script's packages below /usr/local/lib here.
PLACE = "usr/local/lib/node_modules"
INSTALL_SECONDS = 600


def key() -> str:
    """Return a string that changes with the packages."""
    text = "\n".join((DECLARED / name).read_text() for name in FILES)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def modules() -> Path:
    """Return the directory of the packages; install them if they are not in the cache."""
    shelf = cache() / "node"
    wanted = shelf / key()
    with locked(shelf / "lock"):
        if not wanted.exists():
            with progress.step("installing JavaScript packages (npm, once)"):
                _install(shelf, wanted)
        os.utime(wanted)
    return wanted / "node_modules"


def _install(shelf: Path, wanted: Path) -> None:
    if not shutil.which("npm"):
        host.install(["npm"])
    for old in shelf.iterdir():
        if old.is_dir() and time.time() - old.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(old)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=shelf))
    for name in FILES:
        shutil.copy(DECLARED / name, building)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    try:
        on_host(["npm", "ci", *quiet, "--prefix", str(building)], timeout=INSTALL_SECONDS)
    except CommandFailedError as failure:
        last = (failure.output.strip().splitlines() or ["it said nothing"])[-1]
        raise LabError(
            f"npm could not install {DECLARED / FILES[0]} ({last}); "
            "check that this host reaches npm"
        ) from None
    building.chmod(0o755)
    building.rename(wanted)
