"""
The lab in pytest, inside a NixOS VM test: the fixtures that the tests of tests/relay use.

The machines are those of the VM test, listed in /etc/lab/relays.json and reached by ssh. If only
the harness' own lab can do something (boot a machine, another relay, other settings), the test is
skipped with a reason.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from harness.dns import Dns
from harness.kinds import RELAY, Kind
from harness.lab import Lab
from harness.machine import Machine
from harness.network import CLIENTS, DNS, Link
from harness.process import wait_until
from harness.relay import Relay
from harness.value import Settings, Value

pytest.register_assert_rewrite("people")

RELAYS = Path("/etc/lab/relays.json")
DOMAIN = "_one.test"
PATH = "/run/wrappers/bin:/run/current-system/sw/bin"
SSH = [
    *("ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"),
    *("-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    # One ssh connection for all commands to a machine.
    *("-o", "ControlMaster=auto", "-o", "ControlPath=/tmp/ssh-%h", "-o", "ControlPersist=60"),
]


def beyond(what: str) -> NoReturn:
    """Skip the running test, because the machines of a VM test cannot do this."""
    pytest.skip(f"a VM test cannot {what}")


class VirtualMachine(Machine):
    """
    A machine of the VM test.

    Commands and files go through ssh; the test driver controls power.
    """

    @classmethod
    def at(cls, name: str, number: int) -> VirtualMachine:
        """Return the machine whose address ends in this number."""
        return cls(name, Path("/"), Link("", (number,)))

    def running(self) -> bool:
        """Return True: tests run only while the machine is up."""
        return True

    def command(self, command: Sequence[str], user: str = "root") -> list[str]:
        """Return the local command that runs `command` on it."""
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}"]
        groups = [] if user == "root" else ["--init-groups", "--"]
        words = ["env", f"PATH={PATH}", *become, *groups, *command]
        return [*SSH, f"root@{self.address}", "--", shlex.join(words)]

    def wait_for_port(self, port: int, timeout: float = 30, address: str | None = None) -> None:
        """Wait until a TCP port on it accepts connections."""

        def accepts() -> bool:
            with socket.create_connection((address or self.address, port), timeout=timeout):
                return True

        wait_until(accepts, f"{self.name}: port {port} accepts connections", timeout=timeout)

    def start(self) -> None:
        """Skip."""
        beyond("switch machines on from within")

    def poweroff(self) -> None:
        """Skip."""
        beyond("switch machines off from within")

    def kill(self) -> None:
        """Skip."""
        beyond("pull a plug from within")


class VirtualRelay(Relay):
    """A relay of the VM test."""

    def reconfigure(self, settings: Settings) -> None:
        """Skip."""
        beyond(f"become a relay with other settings ({json.dumps(dict(settings))})")


class VirtualLab(Lab):
    """The machines of the VM test, as a lab for the tests."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Any] = {}
        for name, entry in json.loads(RELAYS.read_text()).items():
            self._known[entry["chatmaild"]["domain"]] = entry | {"name": name}

    @property
    def dns(self) -> Dns:
        """The lab's name server, controlled as by tests/harness."""
        return Dns(VirtualMachine.at("dns", DNS))

    @property
    def clients(self) -> Link:
        """The machine on which this runs."""
        return Link("", CLIENTS)

    def machine(self, name: str, kind: Kind = RELAY) -> Machine:
        """Skip."""
        beyond(f"boot another machine ({name})")

    def relay(self, domain: str, settings: Settings | None = None) -> Relay:
        """Return the relay of this domain and publish it in the DNS; its node has the settings."""
        if domain not in self._known:
            beyond(f"boot another relay ({domain}, {json.dumps(dict(settings or {}))})")
        entry = self._known[domain]
        value = Value(
            host=domain,
            files={},
            units=tuple(entry["chatmaild"]["units"]),
            reads={},
            ports=entry["ports"],
            sysctl={},
            daemons=entry["chatmaild"],
        )
        machine = VirtualMachine.at(entry["name"], entry["number"])
        found = VirtualRelay(domain, machine, self.dns, dict(settings or {}), value)
        found.wait_ready()
        if domain not in self.dns.zones():
            found.publish()
        return found


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The lab; harness/deltachat.py finds core's server beside $LAB_PYTHON."""
    sys.executable = os.environ["LAB_PYTHON"]
    return VirtualLab()


@pytest.fixture(scope="session")
def relay(lab: Lab) -> Relay:
    """The relay with default settings, shared by all tests."""
    return lab.relay(DOMAIN)
