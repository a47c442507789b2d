"""The lab: one network, its DNS and CA, the clients, and as many relays as asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from harness import forward, network, nspawn, progress, relay
from harness.dns import MACHINE as DNS_MACHINE
from harness.dns import Dns
from harness.image import image
from harness.machine import Machine, machines, refuse_name
from harness.network import Link
from harness.pki import Authority, authority
from harness.places import default_suite, disks, state
from harness.process import host_path
from harness.relay import Relay
from harness.value import Settings, evaluate

KEPT = "kept"


class Lab:
    """What tests get: relays by domain and everything around them, booted when first asked for."""

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
        """The lab's certificate authority; machines trust it, clients find it as $LAB_CA."""
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

    def machine(self, name: str) -> Machine:
        """Return a plain running machine of this name that is on the network and does nothing."""
        found = machines().get(name)
        if found is None:
            _ = self.dns
            found = Machine.create(name, self.image)
            found.unpack(relay.plain(name))
        found.start()
        return found

    def relay(self, domain: str, settings: Settings | None = None) -> Relay:
        """
        Return the running relay of this domain and these settings.

        One that runs is taken as it is if nothing that makes it has changed, else made anew, empty.
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
            # Only now: one that never came up is not to be taken for a relay later.
            machine.note("contents", relay.fingerprint(value, wanted))
        return running

    def relays(self) -> list[Relay]:
        """Every relay that runs now, as it was last configured."""
        return [
            Relay(found.name, found, self.dns, settings, evaluate(settings))
            for found in machines().values()
            if found.running() and "settings" in found.notes
            for settings in [json.loads(found.notes["settings"])]
        ]

    def stop(self, running: Relay | Machine) -> None:
        """Take a relay or machine away, its zone with it."""
        machine = running.machine if isinstance(running, Relay) else running
        forward.stop(machine.name)
        machine.remove()
        if machine.name in self.dns.zones():
            self.dns.remove(machine.name)

    def keep(self, machine: Machine) -> None:
        """Leave a machine up when the tests that use it are over."""
        machine.note(KEPT, "yes")

    def stop_all_but_kept(self) -> None:
        """Take away every machine that nobody asked to keep; without any left, the whole lab."""
        every = machines()
        if not any(KEPT in machine.notes for machine in every.values()):
            down()
            return
        network.end_clients(spared=forward.processes())
        for name, machine in every.items():
            if KEPT not in machine.notes and name != DNS_MACHINE:
                self.stop(machine)


def refuse(domain: str) -> None:
    """Raise LabError if there can be no relay of this domain; nothing is started for it."""
    numbers = refuse_name(domain) or (network.FIRST_MACHINE,)
    evaluate(relay.whole({}, domain, Link("", numbers)))


def down() -> None:
    """Take everything down that this checkout's lab has on this host; images and CA stay cached."""
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
