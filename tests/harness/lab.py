"""The lab: a network with its DNS and CA, the clients, and any number of relays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from harness import forward, network, nspawn, progress, relay
from harness.dns import MACHINE as DNS_MACHINE
from harness.dns import Dns
from harness.image import image
from harness.kinds import RELAY, Kind
from harness.machine import Machine, machines, refuse_name
from harness.network import Link
from harness.pki import Authority, authority
from harness.places import default_suite, disks, state
from harness.process import host_path
from harness.relay import Relay
from harness.value import Settings, evaluate

KEPT = "kept"


class Lab:
    """The tests' view: relays by domain with everything around them, booted at first use."""

    def __init__(self, suite: str | None = None) -> None:
        self.suite = suite or default_suite()
        self._image: Path | None = None
        self._dns: Dns | None = None

    @property
    def image(self) -> Path:
        """The root directory of the machines' image."""
        if self._image is None:
            self._image = image(self.suite)
        return self._image

    @property
    def ca(self) -> Authority:
        """The lab's certificate authority; machines trust it, and clients find it at $LAB_CA."""
        return authority()

    @property
    def clients(self) -> Link:
        """The clients' place on the network."""
        return network.clients()

    @property
    def dns(self) -> Dns:
        """The lab's name server."""
        if self._dns is None or not self._dns.machine.running():
            network.up()
            self._dns = Dns.up(self.image)
        return self._dns

    def machine(self, name: str, kind: Kind = RELAY) -> Machine:
        """Return a running machine of this name on the network, without any service."""
        found = machines().get(name)
        if found is None:
            _ = self.dns
            found = Machine.create(name, image(self.suite, kind))
            found.unpack(relay.plain(name))
        found.start()
        return found

    def relay(self, domain: str, settings: Settings | None = None) -> Relay:
        """
        Return the running relay of this domain with these settings.

        A running relay is reused if nothing about it has changed; otherwise it is created again,
        empty.
        """
        dns = self.dns
        machine = machines().get(domain)
        if machine and machine.running():
            wanted = relay.whole(settings or {}, domain, machine)
            value = evaluate(wanted)
            same = relay.fingerprint(value, wanted), str(self.image)
            if same == (machine.notes.get("contents"), str(machine.image)):
                return Relay(domain, machine, dns, wanted, value)
        if machine:
            self.stop(machine)
        machine = Machine.create(domain, self.image, network.number_of(domain))
        wanted = relay.whole(settings or {}, domain, machine)
        try:
            value = evaluate(wanted)
        except BaseException:
            machine.remove()
            raise
        with progress.step(f"booting the relay {domain}"):
            relay.install(machine, value, wanted)
            machine.start()
            running = Relay(domain, machine, dns, wanted, value)
            running.wait_ready()
            running.publish()
            # Only now, so that a relay that never came up is not reused later.
            machine.note("contents", relay.fingerprint(value, wanted))
        return running

    def relays(self) -> list[Relay]:
        """Return all running relays, as last configured."""
        return [
            Relay(found.name, found, self.dns, settings, evaluate(settings))
            for found in machines().values()
            if found.running() and "settings" in found.notes
            for settings in [json.loads(found.notes["settings"])]
        ]

    def stop(self, running: Relay | Machine) -> None:
        """Remove a relay or machine, and its zone."""
        machine = running.machine if isinstance(running, Relay) else running
        forward.stop(machine.name)
        machine.remove()
        if machine.name in self.dns.zones():
            self.dns.remove(machine.name)

    def keep(self, machine: Machine) -> None:
        """Keep a machine when the tests that use it are over."""
        machine.note(KEPT, "yes")

    def stop_all_but_kept(self) -> None:
        """Remove every machine that is not kept; if none is left, the whole lab."""
        every = machines()
        if not any(KEPT in machine.notes for machine in every.values()):
            down()
            return
        network.end_clients(spared=forward.processes())
        for name, machine in every.items():
            if KEPT not in machine.notes and name != DNS_MACHINE:
                self.stop(machine)


def refuse(domain: str) -> None:
    """Raise LabError if a relay cannot have this domain; nothing is started."""
    numbers = refuse_name(domain) or (network.FIRST_MACHINE,)
    evaluate(relay.whole({}, domain, Link("", numbers)))


def down() -> None:
    """Remove everything of this checkout's lab; images and CA stay cached."""
    forward.stop_all()
    network.end_clients()
    for machine in machines().values():
        machine.remove()
    nspawn.end_groups()
    network.down()
    for directory in (disks(), host_path(state())):
        shutil.rmtree(directory, ignore_errors=True)
    parent = host_path(state().parent)
    if parent.exists() and not any(parent.iterdir()):
        parent.rmdir()
