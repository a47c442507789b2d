"""
Decides whether this host has enough resources for another account.

During an attack or a rush, a small host fails because of too many new accounts, not because of the
existing ones. So the relay refuses only the creation of accounts while load, memory or disk are
short. `decide` is a pure function; `read_host` examines the host.
"""

import enum
import os
from dataclasses import dataclass
from pathlib import Path

from chatmaild.config import Admission


class Pressure(enum.Enum):
    """The resource that is short; the value is a word for logs and counters."""

    LOAD = "load"
    MEMORY = "memory"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Host:
    """One-minute load average, memory and disk space in bytes; None if it could not be read."""

    load: float | None
    available_memory: int | None
    free_disk: int | None


def decide(host: Host, limits: Admission) -> Pressure | None:
    """
    Return the resource that forbids a new account, or None.

    A limit of 0 is disabled. A value that could not be read forbids nothing, because a sandbox that
    hides /proc must not silently close registration (the daemons warn about it when they start).
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
    Read the load, the available memory, and the free space of the mailboxes' file system.

    The free space is read at the nearest accessible parent of `mailboxes`. The directory itself is
    accessible only to its owner, and missing before the first login.
    """
    return Host(_load(proc / "loadavg"), _available_memory(proc / "meminfo"), _free_disk(mailboxes))


def unreadable(host: Host, limits: Admission) -> list[str]:
    """Return the configuration keys of the enabled limits whose values could not be read."""
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
    """Return whether the operator's stop file exists; also true if that cannot be checked."""
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

    getloadavg(3) is not used: in a container it returns the load of the whole host, even if
    /proc/loadavg shows the container's own (lxcfs).
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
