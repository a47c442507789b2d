"""
Where things are: the checkout, the cache, the run-time state of this checkout's lab.

Two checkouts have two labs: every namespace, process and directory carries `lab_id()`. One checkout
has several when `LAB_NUMBER` tells them apart.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from harness.errors import LabError

HARNESS = Path(__file__).resolve().parent
TESTS = HARNESS.parent
CHECKOUT = TESTS.parent
RELAY_VALUE = CHECKOUT / "modules" / "relay"
CHATMAILD = CHECKOUT / "pkgs" / "chatmaild"
EVIDENCE = TESTS / "evidence"

# What nobody has used for so long leaves the cache when something new comes in: longer than any
# test run, for another checkout may want other clients and packages at the same time.
UNUSED_SECONDS = 3 * 86400

SUITES = ("trixie", "forky")
NUMBER_VARIABLE = "LAB_NUMBER"
SHARED_VARIABLE = "LAB_SHARED"


def default_suite() -> str:
    """The Debian suite of the machines: `$SUITE`, or trixie."""
    suite = os.environ.get("SUITE") or SUITES[0]
    if suite not in SUITES:
        raise LabError(f"there is no suite {suite}; the lab knows {' and '.join(SUITES)}")
    return suite


def cache() -> Path:
    """Images, the CA, the clients' venv: what may be deleted whenever no lab runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "chatmail-lab"
    path.mkdir(parents=True, exist_ok=True)
    return path


def lab_id() -> str:
    """Five characters that tell this lab from every other one on the same host."""
    whole = f"{CHECKOUT}{os.environ.get(NUMBER_VARIABLE, '')}"
    return hashlib.sha256(whole.encode()).hexdigest()[:5]


def namespace(name: str) -> str:
    """The name under /run/netns of one of this lab's network namespaces."""
    return f"chatmail-{lab_id()}-{name}"


def state() -> Path:
    """Run-time state of this lab; on a tmpfs, so a rebooted host has no lab."""
    return Path("/run/chatmail-lab") / lab_id()


def disks() -> Path:
    """The writable layers of this lab's machines; on a disk, because durability is tested too."""
    return cache() / "disks" / lab_id()


class Use:
    """Being one of the commands that need this lab up; the kernel forgets one that died."""

    def __enter__(self) -> Self:
        disks().parent.mkdir(parents=True, exist_ok=True)
        self._file = disks().with_suffix(".users").open("a")
        fcntl.flock(self._file, fcntl.LOCK_SH)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def alone(self) -> bool:
        """True when no other command needs the lab; from then on new ones wait."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel frees it when its owner dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
