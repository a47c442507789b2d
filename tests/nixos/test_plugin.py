"""Claims about nixos/plugin.py, which only VM tests run: with an ssh that stays on this machine."""

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
    """A machine whose shell is a local one, as sshd would start it: with one string."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    monkeypatch.setattr(plugin, "SSH", [str(ssh)])
    monkeypatch.setattr(plugin, "PATH", "/usr/bin:/bin")
    return VirtualMachine.at("one", 10)


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VirtualLab:
    """The machines of a VM test, as the client knows them."""
    relay = evaluate({"domain": "_one.test"})
    entry = {"number": 10, "ports": relay["ports"], "chatmaild": relay["chatmaild"]}
    relays = tmp_path / "relays.json"
    relays.write_text(json.dumps({"one": entry}))
    monkeypatch.setattr(plugin, "RELAYS", relays)
    return VirtualLab()


def test_commands_arrive_word_by_word(machine: VirtualMachine) -> None:
    """A shell stands between, and must not see what is in the words."""
    words = ["a b", "$HOME", "'", '"; exit 3', ""]

    said = machine.run(["printf", "%s\\n", *words])

    assert said.out.splitlines() == words


def test_a_line_for_the_shell_is_one(machine: VirtualMachine) -> None:
    """Claims use pipes."""
    assert machine.run("echo one two | wc -w").out.strip() == "2"


def test_input_and_failures_come_through(machine: VirtualMachine) -> None:
    """As with a machine of the harness' own."""
    assert machine.run(["cat"], input="x\n").out == "x\n"
    assert machine.run(["false"], check=False).status == 1
    with pytest.raises(CommandFailedError, match="one: echo no"):
        machine.run("echo no >&2; exit 7")


def test_it_knows_the_addresses_of_the_lab(machine: VirtualMachine) -> None:
    """Claims connect to them."""
    assert (machine.address, machine.address6) == ("192.0.2.10", "2001:db8::10")
    assert machine.running()


@pytest.mark.parametrize("power", ["start", "poweroff", "kill"])
def test_power_is_not_the_claims(machine: VirtualMachine, power: str) -> None:
    """They are skipped, with the reason; none of them passes for nothing."""
    with pytest.raises(pytest.skip.Exception, match="a VM test cannot"):
        getattr(machine, power)()


def test_a_relay_that_is_no_node_skips_its_claims(nodes: VirtualLab) -> None:
    """Other settings would be another node."""
    with pytest.raises(pytest.skip.Exception, match=r"cannot boot another relay \(two\.test"):
        nodes.relay("two.test", {"durable": False})


def test_a_node_is_a_relay(nodes: VirtualLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the claims ask of one: addresses, credentials, settings, a place in the DNS."""
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
