"""Tests of machines and the network between them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import network, nspawn
from harness.errors import CommandFailedError, LabError
from harness.lab import Lab
from harness.machine import Machine, machines
from harness.process import host, host_path

TRY = """
import socket, sys
for address in sys.argv[1:]:
    socket.create_connection((address, 9), timeout=3)
"""


@pytest.fixture(scope="module")
def first(lab: Lab) -> Iterator[Machine]:
    """A plain machine."""
    machine = lab.machine("first.test")
    yield machine
    lab.stop(machine)


@pytest.fixture(scope="module")
def second(lab: Lab) -> Iterator[Machine]:
    """Another plain machine."""
    machine = lab.machine("second.test")
    yield machine
    lab.stop(machine)


def test_start_up_ends_without_a_failed_unit(first: Machine) -> None:
    """A machine counts as started when its systemd reports this."""
    assert first.run(["systemctl", "is-system-running"]).out.strip() == "running"
    assert first.failed_units() == []


@pytest.mark.parametrize("family", ["address", "address6"])
def test_machines_reach_each_other(first: Machine, second: Machine, family: str) -> None:
    """They use IPv4 and IPv6; a refused connection is an answer of the other kernel."""
    answer = first.run(["python3", "-c", TRY, getattr(second, family)], check=False)

    assert "ConnectionRefusedError" in answer.err


@pytest.mark.parametrize("family", ["address", "address6"])
def test_clients_reach_machines(first: Machine, family: str) -> None:
    """The test process itself is a client."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((getattr(first, family), 9), timeout=3)


@pytest.mark.parametrize("outside", ["1.1.1.1", "2606:4700:4700::1111", "10.0.0.1"])
def test_there_is_no_route_outside(first: Machine, outside: str) -> None:
    """Neither a machine nor a client can reach the Internet."""
    said = first.run(["python3", "-c", TRY, outside], check=False).err

    assert "Network is unreachable" in said
    with pytest.raises(OSError, match="Network is unreachable"):
        socket.create_connection((outside, 9), timeout=3)


def test_services_of_one_machine_are_not_those_of_another(first: Machine, second: Machine) -> None:
    """Each machine has its own control group, so killing a unit in one does not affect others."""
    for machine in (first, second):
        machine.run(["systemd-run", "--unit=same-name", "sleep", "1000"])

    first.run(["systemctl", "kill", "--signal=KILL", "same-name"])

    first.wait_until("! systemctl is-active --quiet same-name")
    assert second.run(["systemctl", "is-active", "same-name"]).out.strip() == "active"


def test_files_arrive_with_owner_and_mode(first: Machine) -> None:
    """Owners are names, as the machine knows them."""
    first.write("/srv/deep/down/secret", "text\n", mode="0640", owner="postfix", group="adm")

    assert first.read("/srv/deep/down/secret") == "text\n"
    listed = first.run(["stat", "-c", "%U:%G %a", "/srv/deep/down/secret", "/srv/deep"]).out
    assert listed.splitlines() == ["postfix:adm 640", "root:root 755"]


def test_a_failed_command_is_explained(first: Machine) -> None:
    """The error names the machine and the command, and quotes its last output."""
    with pytest.raises(CommandFailedError, match=r"(?s)first\.test: .*ended with status 3.*words"):
        first.run("echo last words >&2; exit 3")


def test_the_journal_can_be_read_from_a_cursor_on(first: Machine) -> None:
    """A test of log lines reads only those after its start."""
    first.run(["logger", "before"])
    cursor = first.cursor()
    first.run(["logger", "afterwards"])
    first.run(["journalctl", "--sync"])

    journal = first.journal(after=cursor)

    assert "afterwards" in journal
    assert "before" not in journal


def test_a_disk_survives_power_off_and_a_power_failure(lab: Lab) -> None:
    """Files can also be read and written while the machine is off."""
    machine = lab.machine("third.test")
    machine.run("echo kept > /srv/kept; sync")

    machine.poweroff()

    assert not machine.running()
    assert machine.read("/srv/kept") == "kept\n"
    machine.write("/srv/added", "while off\n")
    machine.start()
    assert machine.read("/srv/added") == "while off\n"
    machine.kill()
    assert machine.read("/srv/kept") == "kept\n"
    lab.stop(machine)


def test_a_removed_machine_leaves_nothing(lab: Lab) -> None:
    """No process, namespace, mount, control group or directory remains."""
    machine = lab.machine("gone.test")
    leader, spawned = machine.leader, machine.nspawn
    group, place = nspawn.control_group(machine.name), machine.link.path

    lab.stop(machine)

    assert leader is not None
    assert spawned is not None
    assert not leader.alive()
    assert not spawned.alive()
    assert not place.exists()
    assert not group or not host_path(Path(group)).exists()
    assert not machine.disk.exists()
    assert machine.name not in machines()
    assert str(machine.disk) not in host(["cat", "/proc/self/mounts"]).out


@pytest.mark.parametrize("name", ["../up", "a/b", "", "-x", "UPPER"])
def test_an_invalid_name_is_refused(lab: Lab, name: str) -> None:
    """It becomes a file name and a host name."""
    with pytest.raises(LabError, match="cannot name a machine"):
        Machine.create(name, lab.image)


def test_clients_have_several_addresses(lab: Lab) -> None:
    """Tests of limits per client address need more than one client."""
    for number in lab.clients.numbers[:3]:
        for address in (network.address4(number), network.address6(number)):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family) as own:
                own.bind((address, 0))
