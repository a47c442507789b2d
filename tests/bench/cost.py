"""The costs of a relay's daemons: CPU time and memory, from the kernel's accounting."""

from __future__ import annotations

from harness.machine import Machine

# Daemons that always run; the website, expiry and trimming run only at times.
OUR_DAEMONS = tuple(f"chatmail-{name}.service" for name in ("filter", "accounts", "web", "tls"))
GROUPS = "/sys/fs/cgroup/system.slice"
PSS = """
for process in $(cat "$1/cgroup.procs"); do
    name=$(cat "/proc/$process/comm") || continue
    echo "$name: $(grep ^Pss: "/proc/$process/smaps_rollup")"
done 2>/dev/null
"""


def from_here(machine: Machine, path: str) -> str:
    """Return a path of the machine as the clients' processes can open it."""
    if machine.leader is None:
        raise ValueError(f"{machine.name} is not running")
    return f"/proc/{machine.leader.pid}/root{path}"


def counters(machine: Machine, units: tuple[str, ...]) -> dict[str, str]:
    """Return the file with each unit's CPU time (cgroup-v2, cpu.stat), as clients can open it."""
    return {
        unit.removesuffix(".service"): from_here(machine, f"{GROUPS}/{unit}/cpu.stat")
        for unit in units
    }


def memory(machine: Machine, unit: str) -> dict[str, list[int]]:
    """
    Return process name (15 letters) -> bytes of each such process of a unit.

    Shared pages are divided among their processes (PSS in smaps_rollup, proc(5)).
    """
    said = machine.run(["sh", "-c", PSS, "sh", f"{GROUPS}/{unit}"], check=False).out
    found: dict[str, list[int]] = {}
    for line in said.splitlines():
        name, _, words = line.partition(": Pss:")
        if words:
            found.setdefault(name, []).append(int(words.split()[0]) * 1024)
    return found


def pss(machine: Machine, unit: str) -> int:
    """Return the bytes of all processes of a unit, with shared pages divided."""
    return sum(map(sum, memory(machine, unit).values()))
