"""
Turns a root file system into a running machine: overlay, control group, systemd-nspawn.

The overlay is mounted in a mount namespace that only nspawn uses, so nothing remains mounted when
nspawn ends, for whatever reason.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
from pathlib import Path

from harness.errors import LabError
from harness.places import lab_id, state
from harness.process import Process, host, host_path, spawn, undisturbed, wait_until

BOOT_SECONDS = 60
CONSOLE = "console.log"

# $1 control group or empty, $2 overlay options, $3 root; then the command.
MOUNT = """
set -e
if [ -n "$1" ]; then mkdir -p "$1"; echo $$ > "$1/cgroup.procs"; fi
mount -t overlay overlay -o "$2" "$3"
root=$3
shift 3
"""
# systemctl needs /proc; the machine is off, so no other process mounts it.
OFFLINE = MOUNT + 'mount -t proc proc "$root/proc"; exec chroot "$root" "$@"'
BOOT = MOUNT + 'exec systemd-nspawn --directory="$root" "$@"'


def in_overlay(script: str, image: Path, disk: Path, control_group: str = "") -> list[str]:
    """Return the beginning of a command that has the machine's root mounted for itself."""
    layers = f"lowerdir={image},upperdir={disk / 'upper'},workdir={disk / 'work'}"
    private = ["unshare", "--mount", "--propagation", "private", "--"]
    return [*private, "sh", "-c", script, "sh", control_group, layers, str(disk / "root")]


def boot(name: str, image: Path, disk: Path, namespace: Path) -> tuple[Process, Process]:
    """
    Start a machine and wait until systemd is ready; return (nspawn, the machine's PID 1).

    Raises LabError with the end of its console if it does not come up. Afterwards either the
    machine is up, or nothing of it is left.
    """
    end_group(name)
    notify = state() / f"ready-{namespace.name}"
    log = host_path(disk / CONSOLE)
    socket_path = host_path(notify)
    socket_path.unlink(missing_ok=True)
    command = [
        *_scope(_group(name)),
        *in_overlay(BOOT, image, disk, control_group(name)),
        "--quiet",
        f"--machine={lab_id()}-{_escaped(name)}",
        "--register=no",
        "--keep-unit",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--notify-ready=yes",
        # A sandbox with PrivateNetwork= brings up the loopback interface of its own namespace.
        "--capability=CAP_NET_ADMIN",
        f"--network-namespace-path={namespace}",
        "--boot",
    ]
    # A machine gets its host's layout of control groups by default, and systemd 257 refuses the old
    # one.
    environment = dict(os.environ, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1", NOTIFY_SOCKET=str(notify))
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
        log.open("ab") as console,
    ):
        ready.bind(str(socket_path))
        nspawn: Process | None = None
        try:
            with undisturbed():
                nspawn = spawn(command, console, environment)
            leader = _await_ready(ready, nspawn, BOOT_SECONDS)
        except BaseException as problem:
            with undisturbed():
                end_group(name)
                if nspawn:
                    nspawn.end()
            if not isinstance(problem, LabError):
                raise
            said = log.read_text(errors="replace").strip().splitlines()[-5:]
            raise LabError(
                f"machine {name}: {problem}; its console ends with: {' / '.join(said)}"
            ) from None
        finally:
            socket_path.unlink(missing_ok=True)
    return nspawn, leader


def _await_ready(ready: socket.socket, nspawn: Process, timeout: float) -> Process:
    """Read nspawn's notifications (sd_notify(3)) until the machine has started."""
    watch = os.pidfd_open(nspawn.pid)
    leader: Process | None = None
    try:
        while True:
            readable, _, _ = select.select([ready.fileno(), watch], [], [], timeout)
            if not readable:
                raise LabError(f"did not boot within {timeout:g} s")
            if ready.fileno() not in readable:
                raise LabError("ended while booting")
            message = ready.recv(4096).decode(errors="replace")
            if found := re.search(r"^X_NSPAWN_LEADER_PID=(\d+)$", message, re.MULTILINE):
                leader = Process.of(int(found[1]))
            if "Container running: Ready" in message and leader:
                return leader
    finally:
        os.close(watch)


def _escaped(name: str) -> str:
    """Return a domain for use in a machine's name; `_chat.test` and `chat.test` stay distinct."""
    return re.sub(r"[^a-z0-9.-]", lambda odd: f"x{ord(odd[0]):02x}", name.lower())


def _systemd_host() -> bool:
    return host_path(Path("/run/systemd/system")).is_dir()


def _scope(name: str) -> list[str]:
    """On a host with systemd, request a control group from it; it execs, so the PID stays."""
    if not _systemd_host():
        return []
    return [
        "systemd-run",
        "--scope",
        "--quiet",
        "--collect",
        f"--unit={name}",
        f"--description={name}",
        "--property=Delegate=yes",
        "--",
    ]


def control_group(name: str) -> str:
    """
    Return a machine's control group directory; "" on a host with systemd, which creates one.

    Two machines in one group would share their services: stopping a service of one would kill the
    other's.
    """
    if _systemd_host():
        return ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return f"{where}/{_group(name)}"
    return ""


def end_group(name: str) -> None:
    """
    Kill all processes in a machine's control group, even unrecorded ones, and remove it.

    They may be left by a command that was killed while it booted a machine.
    """
    if _systemd_host():
        # The scope ends with its last process. After an orderly end there is none.
        host(["systemctl", "kill", "--signal=KILL", f"{_group(name)}.scope"], check=False)
        return
    if top := control_group(name):
        _end_group(host_path(Path(top)))


def end_groups() -> None:
    """Kill and remove every control group of this lab's machines."""
    if _systemd_host():
        host(["systemctl", "kill", "--signal=KILL", f"{_group('*')}.scope"], check=False)
    elif top := control_group(""):
        shelf = host_path(Path(top)).parent
        for group in shelf.glob(f"{Path(top).name}*"):
            _end_group(group)


def _end_group(top: Path) -> None:
    def removed() -> bool:
        for place, _, _ in os.walk(top, topdown=False):
            group = Path(place)
            for number in map(int, (group / "cgroup.procs").read_text().split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            group.rmdir()  # busy for a moment after its last process has died
        return True

    if top.exists():
        wait_until(removed, f"end of everything in the control group {top}", timeout=10)


def _group(name: str) -> str:
    return f"chatmail-lab-{lab_id()}-{name if name == '*' else _escaped(name)}"
