"""Operations on a machine: commands, files, journal, and waiting for events."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import nspawn, sockets
from harness.archive import UNPACK, File, pack
from harness.errors import CommandFailedError, DeadlineError, LabError
from harness.network import Link
from harness.process import Process, Result, execute, wait_until

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


class Shell:
    """The operations of a `Machine` while it exists; machine.py creates and boots it."""

    name: str
    image: Path
    link: Link
    leader: Process | None

    @property
    def disk(self) -> Path:
        """Its writable layer."""
        raise NotImplementedError

    def running(self) -> bool:
        """Whether its PID 1 is alive."""
        return self.leader is not None and self.leader.alive()

    def command(self, command: Sequence[str], user: str = "root") -> list[str]:
        """Return the host command that runs `command` in the running machine."""
        if not self.running() or not self.leader:
            raise LabError(f"machine {self.name} is not running")
        environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        if "TERM" in os.environ:
            environment.append(f"TERM={os.environ['TERM']}")
        become = (
            []
            if user == "root"
            else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
        )
        return [
            "nsenter",
            "-t",
            str(self.leader.pid),
            "-a",
            "env",
            "-i",
            *environment,
            *become,
            *command,
        ]

    def run(
        self,
        command: Sequence[str] | str,
        *,
        input: str | bytes | None = None,  # noqa: A002 (as subprocess calls it)
        check: bool = True,
        timeout: float = 60,
        user: str = "root",
    ) -> Result:
        """
        Run a command in it (a string goes to its shell) and wait, at most `timeout` seconds.

        While the machine is off, the command runs on its disk without any daemons. Raises
        CommandFailedError for a status other than 0 unless `check` is off.
        """
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        if self.running():
            whole = self.command(words, user)
        else:
            environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
            alone = nspawn.in_overlay(nspawn.OFFLINE, self.image, self.disk)
            whole = [*alone, "env", "-i", *environment, *words]
        try:
            return execute(whole, stdin=input, check=check, timeout=timeout)
        except CommandFailedError as failure:
            shown = command if isinstance(command, str) else shlex.join(words)
            raise CommandFailedError(
                f"{self.name}: {shown}", failure.status, failure.output
            ) from None

    def unpack(self, files: Mapping[str, File]) -> None:
        """Write files with owner and mode."""
        self.run(UNPACK, input=pack(files))

    def read(self, path: str) -> str:
        """Return the text of a file."""
        return self.run(["cat", path]).out

    def write(
        self,
        path: str,
        text: str | bytes,
        mode: str = "0644",
        owner: str = "root",
        group: str | None = None,
    ) -> None:
        """Write one file."""
        self.unpack({path: File(text, mode, owner, group or owner)})

    def journal(
        self, unit: str | None = None, *, since: str | None = None, after: str | None = None
    ) -> str:
        """Return its journal, optionally of one unit, since a time or a `cursor()`."""
        command = ["journalctl", "--no-pager", "--quiet", "--output=short-iso-precise"]
        command += [f"--unit={unit}"] if unit else []
        command += [f"--since={since}"] if since else []
        command += [f"--after-cursor={after}"] if after else []
        return self.run(command).out if self.running() else ""

    def cursor(self) -> str:
        """Return the current end of the journal, for `journal(after=…)`."""
        self.run(["journalctl", "--sync"])
        shown = self.run(["journalctl", "--lines=1", "--show-cursor", "--quiet"])
        return shown.out.rpartition("-- cursor: ")[2].strip()

    def failed_units(self) -> list[str]:
        """Return the units that systemd counts as failed."""
        listed = self.run(["systemctl", "--failed", "--no-legend", "--plain"]).out
        return [line.split()[0] for line in listed.splitlines() if line.strip()]

    def wait_for_unit(self, unit: str, timeout: float = 30) -> None:
        """Wait until a unit is active; if it fails, raise at once with the end of its journal."""

        def active() -> bool:
            said = self.run(["systemctl", "is-active", unit], check=False).out.strip()
            if said == "failed":
                raise _UnitFailedError
            return said == "active"

        try:
            wait_until(active, f"{self.name}: {unit} active", timeout=timeout)
        except (_UnitFailedError, DeadlineError) as problem:
            end = "\n".join(self.journal(unit).splitlines()[-15:])
            why = (
                "failed"
                if isinstance(problem, _UnitFailedError)
                else f"is not active after {timeout:g} s"
            )
            raise LabError(f"{self.name}: {unit} {why}; its journal ends with:\n{end}") from None

    def wait_for_port(self, port: int, timeout: float = 30, address: str | None = None) -> None:
        """Wait until a TCP port accepts connections, on its IPv4 address by default."""
        where = address or self.link.address
        wait_until(
            lambda: sockets.answers(self.link.path, where, port),
            f"{self.name}: {where} port {port} accepts connections",
            timeout=timeout,
        )

    def wait_until(self, command: Sequence[str] | str, timeout: float = 30) -> Result:
        """Repeat a command until it succeeds; return its last result."""
        return wait_until(
            lambda: self.run(command), f"{self.name}: {command}", timeout=timeout, step=0.1
        )


class _UnitFailedError(Exception):
    """A failed unit. Not a LabError, so that waiting ends at once."""
