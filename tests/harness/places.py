"""
Paths: the checkout, the cache, and the run-time state of this checkout's lab.

Two checkouts have two labs: the names of all namespaces, processes and directories contain
`lab_id()`. `LAB_NUMBER` distinguishes several labs of one checkout.
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

# Cached files that were unused for this long are removed when something new is cached. It is longer
# than any test run, because another checkout may need other clients and packages at the same time.
UNUSED_SECONDS = 3 * 86400

SUITES = ("trixie", "forky")
NUMBER_VARIABLE = "LAB_NUMBER"
SHARED_VARIABLE = "LAB_SHARED"


def default_suite() -> str:
    """Return the Debian suite of the machines: `$SUITE`, or trixie."""
    suite = os.environ.get("SUITE") or SUITES[0]
    if suite not in SUITES:
        raise LabError(f"there is no suite {suite}; the lab knows {' and '.join(SUITES)}")
    return suite


def cache() -> Path:
    """Return the directory for images, CA and the clients' venv; deletable while no lab runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "chatmail-lab"
    path.mkdir(parents=True, exist_ok=True)
    return path


def lab_id() -> str:
    """Return five characters that distinguish this lab from others on the host."""
    whole = f"{CHECKOUT}{os.environ.get(NUMBER_VARIABLE, '')}"
    return hashlib.sha256(whole.encode()).hexdigest()[:5]


def namespace(name: str) -> str:
    """The name under /run/netns of one of this lab's network namespaces."""
    return f"chatmail-{lab_id()}-{name}"


def state() -> Path:
    """Return the run-time state of this lab; it is on a tmpfs, so a reboot removes it."""
    return Path("/run/chatmail-lab") / lab_id()


def disks() -> Path:
    """Return the machines' writable layers; they are on disk, because tests check durability."""
    return cache() / "disks" / lab_id()


class Use:
    """Marks a command that needs this lab; the kernel removes the mark of a dead one."""

    def __enter__(self) -> Self:
        disks().parent.mkdir(parents=True, exist_ok=True)
        self._file = disks().with_suffix(".users").open("a")
        fcntl.flock(self._file, fcntl.LOCK_SH)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def alone(self) -> bool:
        """Return whether no other command needs the lab; from then on new ones wait."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel releases it when its owner dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
