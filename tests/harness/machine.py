"""
A machine: an overlay on the image, systemd as its PID 1, and an address on the lab's network.

A record in the lab's state directory describes a machine, so that one command can start it and
another can enter or stop it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness import network, nspawn
from harness.errors import DeadlineError, LabError
from harness.network import Link
from harness.places import disks, locked, namespace, state
from harness.process import Process, host_path, undisturbed
from harness.shell import Shell

POWEROFF_SECONDS = 60


def records() -> Path:
    """Return the directory of the machines' records."""
    return host_path(state() / "machines")


@dataclass(repr=False)
class Machine(Shell):
    """
    One machine of the lab.

    `start` boots it. Commands and files also work while it is off, on its disk.
    """

    name: str
    image: Path
    link: Link
    nspawn: Process | None = None
    leader: Process | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<machine {self.name} at {self.address}>"

    @classmethod
    def create(cls, name: str, image: Path, numbers: tuple[int, ...] = ()) -> Machine:
        """
        Create a machine that is switched off, with an empty disk and an address.

        `numbers` are the last octets of its addresses; chosen if empty.
        """
        refuse_name(name)
        with locked(state() / "machines.lock"):
            others = machines()
            if name in others:
                raise LabError(f"the lab already has a machine {name}")
            if not numbers:
                numbers = (
                    network.free_number(
                        {n for other in others.values() for n in other.link.numbers}
                    ),
                )
            machine = cls(name, image, Link(namespace(f"m{numbers[0]}"), numbers))
            machine._record()
        try:
            network.detach(machine.link)
            network.attach(machine.link)
            shutil.rmtree(machine.disk, ignore_errors=True)
            for layer in ("upper", "work", "root"):
                (machine.disk / layer).mkdir(parents=True)
            # mkdir obeys the umask; this is the machine's "/".
            (machine.disk / "upper").chmod(0o755)
        except BaseException:
            with undisturbed():
                machine.remove()
            raise
        return machine

    @property
    def disk(self) -> Path:
        """Its writable layer."""
        return disks() / namespace(f"m{self.link.numbers[0]}")

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return self.link.address

    @property
    def address6(self) -> str:
        """Its IPv6 address."""
        return self.link.address6

    @property
    def console(self) -> Path:
        """Its console output."""
        return self.disk / nspawn.CONSOLE

    def start(self) -> None:
        """
        Boot it and wait until systemd reports the end of the start-up.

        Services may have failed nevertheless: see `failed_units`.
        """
        if self.running():
            return
        place = network.NETNS / self.link.namespace
        self.nspawn, self.leader = nspawn.boot(self.name, self.image, self.disk, place)
        self._record()

    def poweroff(self) -> None:
        """Shut it down in an orderly way; its disk stays."""
        if not self.running() or not self.leader or not self.nspawn:
            return
        # systemd(1), SIGNALS: SIGRTMIN+4 starts poweroff.target.
        os.kill(self.leader.pid, signal.SIGRTMIN + 4)
        if not self.nspawn.wait(POWEROFF_SECONDS):
            self.kill()
            raise DeadlineError(
                f"machine {self.name} did not power off within {POWEROFF_SECONDS} s and was killed"
            )
        self._ended()

    def kill(self) -> None:
        """Simulate a power failure: all processes die at once, and the disk stays as it is."""
        if self.leader and self.leader.alive():
            os.kill(self.leader.pid, signal.SIGKILL)
        if self.nspawn and not self.nspawn.wait(10):
            self.nspawn.end()
        self._ended()

    def remove(self) -> None:
        """Kill it and delete its disk, network namespace and record."""
        self.kill()
        network.end_inside(self.link)
        network.detach(self.link)
        shutil.rmtree(self.disk, ignore_errors=True)
        (records() / f"{self.name}.json").unlink(missing_ok=True)

    def note(self, key: str, text: str) -> None:
        """Store a remark in its record, for later commands (`notes`)."""
        self.notes[key] = text
        self._record()

    def _ended(self) -> None:
        self.nspawn = self.leader = None
        nspawn.end_group(self.name)
        self._record()

    def _record(self) -> None:
        records().mkdir(parents=True, exist_ok=True)
        new = records() / f".{self.name}.new"
        new.write_text(json.dumps(asdict(self), default=str))
        new.rename(records() / f"{self.name}.json")


def refuse_name(name: str) -> tuple[int, ...]:
    """Raise LabError if this cannot be a machine's name; return the number of an IP address."""
    if not re.fullmatch(r"[a-z0-9_][a-z0-9_.-]{0,60}", name):
        raise LabError(f"{name!r} cannot name a machine; use a domain such as _chat.test")
    return network.number_of(name)


def machines() -> dict[str, Machine]:
    """Return all machines of this lab by name, running or not."""
    found = {}
    for path in sorted(records().glob("*.json")):
        record = json.loads(path.read_text())
        link = Link(record["link"]["namespace"], tuple(record["link"]["numbers"]))
        processes = {
            key: Process(**record[key]) if record[key] else None for key in ("nspawn", "leader")
        }
        machine = Machine(
            record["name"], Path(record["image"]), link, notes=record["notes"], **processes
        )
        found[machine.name] = machine
    return found


def machine(name: str) -> Machine:
    """Return the machine of this name, or raise an error that lists all names."""
    known = machines()
    if name not in known:
        there = ", ".join(known) or "none; start one with: tests/lab up"
        raise LabError(f"there is no machine {name} (there are: {there})")
    return known[name]
