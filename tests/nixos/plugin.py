"""
The lab in pytest, inside a NixOS VM test: the fixtures that the claims of tests/relay use.

The machines are the VM test's, found in /etc/lab/relays.json and reached through ssh. What only the
harness' own lab can do (boot a machine, another relay, other settings) skips the claim and says so.
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
    # One connection for all commands to a machine.
    *("-o", "ControlMaster=auto", "-o", "ControlPath=/tmp/ssh-%h", "-o", "ControlPersist=60"),
]


def beyond(what: str) -> NoReturn:
    """Skip the running claim: it asks for more than the machines of a VM test can do."""
    pytest.skip(f"a VM test cannot {what}")


class VirtualMachine(Machine):
    """A machine of the VM test. Commands and files go through ssh; power is the test driver's."""

    @classmethod
    def at(cls, name: str, number: int) -> VirtualMachine:
        """Return the machine with this last octet."""
        return cls(name, Path("/"), Link("", (number,)))

    def running(self) -> bool:
        """Tell that it is up: the test driver says when claims run."""
        return True

    def command(self, command: Sequence[str], user: str = "root") -> list[str]:
        """Return the client's command that runs `command` in it."""
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}"]
        groups = [] if user == "root" else ["--init-groups", "--"]
        words = ["env", f"PATH={PATH}", *become, *groups, *command]
        return [*SSH, f"root@{self.address}", "--", shlex.join(words)]

    def wait_for_port(self, port: int, timeout: float = 30, address: str | None = None) -> None:
        """Wait until something in it accepts TCP connections."""

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
    """The machines of the VM test, as the claims know a lab."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Any] = {}
        for name, entry in json.loads(RELAYS.read_text()).items():
            self._known[entry["chatmaild"]["domain"]] = entry | {"name": name}

    @property
    def dns(self) -> Dns:
        """The lab's name server, as tests/harness drives it."""
        return Dns(VirtualMachine.at("dns", DNS))

    @property
    def clients(self) -> Link:
        """The machine that this runs on."""
        return Link("", CLIENTS)

    def machine(self, name: str) -> Machine:
        """Skip."""
        beyond(f"boot another machine ({name})")

    def relay(self, domain: str, settings: Settings | None = None) -> Relay:
        """Return the relay of this domain, in the DNS; its settings are those that its node has."""
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
    """The relay with default settings, shared by all claims."""
    return lab.relay(DOMAIN)
