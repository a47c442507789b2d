"""
Runs commands on the host, waits with deadlines, and starts processes that outlive their command.

Tests run in the clients' network namespace and in a mount namespace (`inside.py`). `LAB_HOST_PID`
then is the ID of a process outside, and every host command moves there first, so that fixtures can
boot machines from inside.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from harness.errors import CommandFailedError, DeadlineError, LabError

HOST_PID_VARIABLE = "LAB_HOST_PID"

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Result:
    """The result of a finished command."""

    command: str
    status: int
    out: str
    err: str


def on_host(command: Sequence[str]) -> list[str]:
    """Return the command in the host's network and mount namespaces, wherever the caller is."""
    outside = os.environ.get(HOST_PID_VARIABLE)
    if not outside:
        return list(command)
    spaces = f"/proc/{outside}/ns"
    return ["nsenter", f"--net={spaces}/net", f"--mount={spaces}/mnt", "--", *command]


def host_path(path: Path) -> Path:
    """Return a path of the host's file system, valid in the clients' mount namespace too."""
    outside = os.environ.get(HOST_PID_VARIABLE)
    return Path(f"/proc/{outside}/root{path}") if outside else path


def execute(
    command: Sequence[str],
    *,
    stdin: str | bytes | None = None,
    check: bool = True,
    timeout: float = 60,
    environment: dict[str, str] | None = None,
    ending: signal.Signals = signal.SIGKILL,
) -> Result:
    """
    Run a command where the caller is and wait for it, at most `timeout` seconds.

    ^C ends it and all of its children with the signal `ending`. After a signal other than SIGKILL
    this waits for the command, because it has to clean up.

    Raises CommandFailedError for a status other than 0 (unless `check` is off), and DeadlineError
    when the deadline passes.
    """
    shown = shlex.join(command)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            # This process handles ^C: it ends the command and all of its children.
            start_new_session=True,
        ) as child:
            try:
                out, err = child.communicate(data, timeout)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, ending)
                if ending != signal.SIGKILL:
                    child.communicate()
                raise
    except subprocess.TimeoutExpired as late:
        said = (late.stderr or late.stdout or b"").decode(errors="replace").strip()
        raise DeadlineError(
            f"`{shown}` did not end within {timeout:g} s; it said: {said[-500:]}"
        ) from None
    except FileNotFoundError:
        raise LabError(f"the command `{command[0]}` is missing on this host") from None
    result = Result(
        shown, child.returncode, out.decode(errors="replace"), err.decode(errors="replace")
    )
    if check and result.status:
        raise CommandFailedError(shown, result.status, result.err or result.out)
    return result


@contextmanager
def undisturbed() -> Iterator[None]:
    """
    Block ^C, SIGTERM and SIGHUP until the end of the block, for steps that must be completed.

    Only the main thread gets signals, so in other threads this has no effect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _frame: held.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def host(
    command: Sequence[str],
    *,
    stdin: str | bytes | None = None,
    check: bool = True,
    timeout: float = 60,
) -> Result:
    """Like `execute`, but in the host's own namespaces (see the module's docstring)."""
    return execute(on_host(command), stdin=stdin, check=check, timeout=timeout)


def wait_until(
    probe: Callable[[], Answer | None], what: str, *, timeout: float, step: float = 0.05
) -> Answer:
    """
    Call `probe` until the result is true, and return it; the only polling of the harness.

    Events are awaited where possible (a machine's READY, the end of a process). `step` is the pause
    between calls in seconds. A LabError or OSError raised by the probe counts as "not yet" and is
    quoted when the deadline passes.
    """
    deadline = time.monotonic() + timeout
    seen: object = None
    while True:
        try:
            answer = probe()
            if answer:
                return answer
            seen = answer
        except (LabError, OSError) as problem:
            seen = problem
        if time.monotonic() >= deadline:
            raise DeadlineError(f"{what}: not within {timeout:g} s; last seen: {seen}")
        time.sleep(step)


@dataclass(frozen=True)
class Process:
    """A process identified by ID and start time, so that a reused ID is not mistaken for it."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """Return the process that has this ID now."""
        stat = _stat(pid)
        if stat is None:
            raise LabError(f"process {pid} ended before it could be recorded")
        return cls(pid, stat[1])

    def alive(self) -> bool:
        """Whether it runs; a zombie does not."""
        stat = _stat(self.pid)
        return stat is not None and stat[1] == self.started and stat[0] not in "ZX"

    def wait(self, timeout: float) -> bool:
        """Wait for its end; return False after `timeout` seconds."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            ended = not self.alive() or bool(select.select([fd], [], [], timeout)[0])
        finally:
            os.close(fd)
        if ended:
            _reap(self.pid)
        return ended

    def end(self, grace: float = 5) -> None:
        """Send SIGTERM, then after `grace` seconds SIGKILL."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive():
                break
            os.kill(self.pid, number)
            if self.wait(grace):
                break
        _reap(self.pid)


def _stat(pid: int) -> tuple[str, int] | None:
    """Return state letter and start time (clock ticks since boot) of a process, see proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[19])


def _reap(pid: int) -> None:
    """Collect the exit status of a process if it is a child of this one."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def spawn(
    command: Sequence[str], log: IO[bytes], environment: dict[str, str] | None = None
) -> Process:
    """Start a host command that outlives this one, in its own session, with its output in `log`."""
    started = subprocess.Popen(
        on_host(command),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env=environment,
    )
    process = Process.of(started.pid)
    # It should outlive its Popen object, which would otherwise warn about a running child.
    started.returncode = 0
    return process
