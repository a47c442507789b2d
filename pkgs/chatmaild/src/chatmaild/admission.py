"""
Decide whether this host can take on another account right now.

A small host dies of too many new accounts in the middle of an attack or a stampede, not of the
ones it already has. So creation, and only creation, is refused while load, memory or disk are
short. `decide` is pure; `read_host` looks at the host.
"""

import enum
import os
from dataclasses import dataclass
from pathlib import Path

from chatmaild.config import Admission


class Pressure(enum.Enum):
    """What is short; the value is a word for logs and counters."""

    LOAD = "load"
    MEMORY = "memory"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Host:
    """One look at the host: one-minute load, then bytes. None means it could not be read."""

    load: float | None
    available_memory: int | None
    free_disk: int | None


def decide(host: Host, limits: Admission) -> Pressure | None:
    """
    Name what forbids a new account, or None.

    A limit of 0 is off. What could not be read forbids nothing: a sandbox that hides /proc must
    not close a relay silently (the daemons warn about it when they start).
    """
    if limits.max_load and host.load is not None and host.load > limits.max_load:
        return Pressure.LOAD
    if (
        limits.min_available_memory
        and host.available_memory is not None
        and host.available_memory < limits.min_available_memory
    ):
        return Pressure.MEMORY
    if (
        limits.min_free_disk
        and host.free_disk is not None
        and host.free_disk < limits.min_free_disk
    ):
        return Pressure.DISK
    return None


def read_host(mailboxes: Path, proc: Path = Path("/proc")) -> Host:
    """
    Look at load, memory and the disk the mailboxes lie on.

    The nearest directory above `mailboxes` that can be asked is asked, because the mailboxes'
    own directory is closed to every user but theirs, and absent before the first login.
    """
    return Host(_load(proc / "loadavg"), _available_memory(proc / "meminfo"), _free_disk(mailboxes))


def unreadable(host: Host, limits: Admission) -> list[str]:
    """Name the configured limits that `host` cannot be held against, as configuration keys."""
    return [
        key
        for key, limit, value in (
            ("admission.maxLoad", limits.max_load, host.load),
            ("admission.minAvailableMemory", limits.min_available_memory, host.available_memory),
            ("admission.minFreeDisk", limits.min_free_disk, host.free_disk),
        )
        if limit and value is None
    ]


def nocreate(path: Path) -> bool:
    """Say whether the operator's file is there; one that cannot be looked for counts as there."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _load(loadavg: Path) -> float | None:
    """
    Read the one-minute load average (proc_loadavg(5)).

    getloadavg(3) asks the kernel, which tells a container of the load of the whole host even where
    /proc/loadavg is the container's own (lxcfs).
    """
    try:
        return float(loadavg.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _available_memory(meminfo: Path) -> int | None:
    """Read MemAvailable, in bytes (proc_meminfo(5): the file counts in units of 1024)."""
    try:
        with meminfo.open(encoding="ascii") as lines:
            for line in lines:
                name, _, rest = line.partition(":")
                if name == "MemAvailable":
                    return int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _free_disk(mailboxes: Path) -> int | None:
    for directory in (mailboxes, *mailboxes.parents):
        try:
            status = os.statvfs(directory)
        except OSError:
            continue
        return status.f_bavail * status.f_frsize
    return None
