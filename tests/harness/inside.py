"""
Commands among the clients: the clients' network namespace, with names that resolve in the lab.

The command has its own mount namespace with another resolv.conf and nsswitch.conf; the host's do
not change. LAB_HOST_PID is the ID of a process outside, through which the harness reaches the host
from inside.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness import network
from harness.dns import RESOLV_CONF
from harness.errors import LabError
from harness.pki import authority
from harness.places import TESTS, default_suite, state
from harness.process import HOST_PID_VARIABLE, host_path
from harness.venv import venv

# No resolver daemon of the host may answer for the lab: only `dns`, without nscd.
NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files dns
services: files
protocols: files
"""
ENTER = """
set -e
mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)"
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
if [ -d /run/nscd ]; then mount -t tmpfs none /run/nscd; fi
shift
exec "$@"
"""


def prefix() -> list[str]:
    """Return the beginning of a host command that runs among the clients."""
    files = state() / "clients"
    where = host_path(files)
    where.mkdir(parents=True, exist_ok=True)
    (where / "resolv.conf").write_text(RESOLV_CONF)
    (where / "nsswitch.conf").write_text(NSSWITCH)
    for needed in (Path("/etc/resolv.conf"), Path("/etc/nsswitch.conf")):
        if not needed.exists():
            raise LabError(
                f"this host has no {needed}, over which the lab lays its own; create an empty one"
            )
    link = network.clients()
    # Slave propagation: later mounts of the host are visible here, but not the other way round.
    private = ["unshare", "--mount", "--propagation", "slave", "--"]
    return [
        "nsenter",
        f"--net={network.NETNS / link.namespace}",
        "--",
        *private,
        "sh",
        "-c",
        ENTER,
        "sh",
        str(files),
    ]


def environment(suite: str) -> dict[str, str]:
    """Return the environment of a command among the clients."""
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        HOST_PID_VARIABLE: os.environ.get(HOST_PID_VARIABLE) or str(os.getpid()),
        "LAB_CA": str(authority().certificate_file),
        "SUITE": suite,
        "PYTHONPATH": ":".join(dict.fromkeys(paths)),
        # So that `run -- pytest` and `run -- python` use the clients' environment.
        "PATH": f"{venv() / 'bin'}:{os.environ['PATH']}",
    }


def run(command: Sequence[str], suite: str | None = None) -> int:
    """
    Run a command among the clients on this terminal; return its exit status.

    A command that was ended by a signal has the status 128 + number, as in a shell.
    """
    if os.environ.get(HOST_PID_VARIABLE):
        raise LabError("this is already a command among the clients; run the command itself")
    if not network.clients().path.exists():
        raise LabError("the lab is not up; start it with: tests/lab up")
    variables = environment(suite or default_suite())
    if not shutil.which(command[0], path=variables["PATH"]):
        raise LabError(f"the command `{command[0]}` is not on this host")
    beginning = prefix()
    # The command gets ^C too, and this process waits for its reaction. SIG_IGN cannot be used,
    # because the command would inherit it.
    previous = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        with subprocess.Popen([*beginning, *command], env=variables) as child:
            try:
                status = child.wait()
            except KeyboardInterrupt:  # SIGTERM, see cli.py
                child.terminate()
                raise
    finally:
        signal.signal(signal.SIGINT, previous)
    return status if status >= 0 else 128 - status
