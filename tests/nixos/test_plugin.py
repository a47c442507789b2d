"""Tests of nixos/plugin.py, which only VM tests use, with an ssh that runs locally."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.relay_value import evaluate
from harness.errors import CommandFailedError
from harness.relay import Relay
from nixos import plugin
from nixos.plugin import VirtualLab, VirtualMachine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VirtualMachine:
    """A machine with a local shell, started as sshd does: with one string."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    monkeypatch.setattr(plugin, "SSH", [str(ssh)])
    monkeypatch.setattr(plugin, "PATH", "/usr/bin:/bin")
    return VirtualMachine.at("one", 10)


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VirtualLab:
    """The machines of a VM test, as the client sees them."""
    relay = evaluate({"domain": "_one.test"})
    entry = {"number": 10, "ports": relay["ports"], "chatmaild": relay["chatmaild"]}
    relays = tmp_path / "relays.json"
    relays.write_text(json.dumps({"one": entry}))
    monkeypatch.setattr(plugin, "RELAYS", relays)
    return VirtualLab()


def test_commands_arrive_word_by_word(machine: VirtualMachine) -> None:
    """The shell in between must not interpret the words."""
    words = ["a b", "$HOME", "'", '"; exit 3', ""]

    said = machine.run(["printf", "%s\\n", *words])

    assert said.out.splitlines() == words


def test_a_string_is_a_shell_command(machine: VirtualMachine) -> None:
    """Tests use pipes."""
    assert machine.run("echo one two | wc -w").out.strip() == "2"


def test_input_and_failures_come_through(machine: VirtualMachine) -> None:
    """They behave as with the harness' own machines."""
    assert machine.run(["cat"], input="x\n").out == "x\n"
    assert machine.run(["false"], check=False).status == 1
    with pytest.raises(CommandFailedError, match="one: echo no"):
        machine.run("echo no >&2; exit 7")


def test_it_knows_the_addresses_of_the_lab(machine: VirtualMachine) -> None:
    """Tests connect to them."""
    assert (machine.address, machine.address6) == ("192.0.2.10", "2001:db8::10")
    assert machine.running()


@pytest.mark.parametrize("power", ["start", "poweroff", "kill"])
def test_power_control_is_skipped(machine: VirtualMachine, power: str) -> None:
    """Such tests are skipped with a reason; none passes without testing anything."""
    with pytest.raises(pytest.skip.Exception, match="a VM test cannot"):
        getattr(machine, power)()


def test_a_missing_relay_skips_the_test(nodes: VirtualLab) -> None:
    """Other settings would need another node."""
    with pytest.raises(pytest.skip.Exception, match=r"cannot boot another relay \(two\.test"):
        nodes.relay("two.test", {"durable": False})


def test_a_node_is_a_relay(nodes: VirtualLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has what tests need: addresses, credentials, settings, DNS records."""
    published: list[str] = []
    monkeypatch.setattr(Relay, "wait_ready", lambda _: None)
    monkeypatch.setattr(Relay, "publish", lambda self: published.append(self.domain))
    monkeypatch.setattr("harness.dns.Dns.zones", lambda _: {})

    relay = nodes.relay("_one.test")
    address, password = relay.credentials()

    assert relay.address == "192.0.2.10"
    assert address.endswith("@_one.test")
    assert len(password) >= 16
    assert relay.value.daemons["paths"]["mailboxes"] == "/var/lib/chatmail/mail"
    assert published == ["_one.test"]
