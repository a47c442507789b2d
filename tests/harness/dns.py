"""
The lab's DNS: its own root zone, all published zones, and a resolver for the clients.

Both servers run on one machine, Knot at 192.0.2.53 and unbound at 192.0.2.54. Relays resolve names
as in production, from the root down, but with the lab's root hints. Names that were not published
do not exist: NXDOMAIN at once. Answers are not cached in the lab, so that a test can change a name
at any time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from harness.archive import File
from harness.errors import LabError
from harness.machine import Machine, machines
from harness.network import DNS, RESOLVER, address4, address6
from harness.places import locked, state
from harness.process import host_path, wait_until

MACHINE = "dns"
ROOT_SERVER = "ns.root-servers.lab."
ADDRESSES = f"{ROOT_SERVER} 0 A {address4(DNS)}\n{ROOT_SERVER} 0 AAAA {address6(DNS)}\n"
HINTS = f". 0 NS {ROOT_SERVER}\n{ADDRESSES}"
# unbound answers these names itself (RFC 6761, RFC 6303); in the lab they are ordinary names.
OWN_NAMES = ("test.", "2.0.192.in-addr.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa.")
# A relay prints its zone with a TTL of an hour, but tests change names within seconds.
UNBOUND_IN_THE_LAB = "server:\n  cache-max-ttl: 0\n  cache-max-negative-ttl: 0\n" + "".join(
    f'  local-zone: "{name}" nodefault\n' for name in OWN_NAMES
)
RESOLVER_ADDRESS = address4(RESOLVER)
RESOLV_CONF = f"nameserver {RESOLVER_ADDRESS}\noptions timeout:2 attempts:2\n"

ZONES = "/var/lib/knot/lab"
# Clients with this key may change zones by RFC 2136, until the zones are published again.
UPDATE_SECRET = "bGFiLXVwZGF0ZS1sYWItdXBkYXRlLWxhYi11cGRhdGUh"
UPDATE_KEY = f'key "lab-update" {{ algorithm hmac-sha256; secret "{UPDATE_SECRET}"; }};\n'
KNOT = f"""\
server:
    listen: [ {address4(DNS)}@53, {address6(DNS)}@53 ]
    user: knot:knot
log:
  - target: syslog
    any: warning
key:
  - id: lab-update
    algorithm: hmac-sha256
    secret: {UPDATE_SECRET}
acl:
  - id: lab-update
    key: lab-update
    action: update
template:
  - id: default
    acl: lab-update
    storage: {ZONES}
    file: "%s.zone"
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
policy:
  - id: lab
    algorithm: ecdsap256sha256
    single-type-signing: on
zone:
"""
UNBOUND = f"""\
server:
  interface: {address4(RESOLVER)}
  interface: {address6(RESOLVER)}
  outgoing-interface: {address4(RESOLVER)}
  outgoing-interface: {address6(RESOLVER)}
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  chroot: ""
  root-hints: "/etc/unbound/lab.hints"
  module-config: "iterator"
{UNBOUND_IN_THE_LAB}
remote-control:
  control-enable: no
"""

Record = tuple[str, str, str]


class State(TypedDict):
    """The state that is kept between commands."""

    serial: int
    zones: dict[str, str]
    signed: list[str]


class Dns:
    """The name server of a lab."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @classmethod
    def up(cls, image: Path) -> Dns:
        """Return the lab's DNS; boot it if necessary."""
        machine = machines().get(MACHINE)
        if machine and not machine.running():
            # Its disk may be incomplete, and contains nothing that is not in the lab's state.
            machine.remove()
            machine = None
        booted = machine is not None
        machine = machine or Machine.create(MACHINE, image, (DNS, RESOLVER))
        dns = cls(machine)
        if not booted:
            machine.unpack(
                {
                    "/etc/hostname": File(f"{MACHINE}\n"),
                    "/etc/unbound/unbound.conf": File(UNBOUND),
                    "/etc/unbound/lab.hints": File(HINTS),
                    **dns._files(),
                }
            )
            machine.run(["systemctl", "enable", "--quiet", "knot", "unbound"])
            machine.start()
            machine.wait_for_port(53, address=address4(DNS))
            machine.wait_for_port(53, address=address4(RESOLVER))
        return dns

    def publish(self, zone: str, records: Sequence[Record], *, signed: bool = False) -> None:
        """
        Replace a zone by these records: name, type, data.

        "@" is the zone itself, and the data of a TXT record is the string without quotes. Returns
        when the server answers with the new zone. A `signed` zone has DNSSEC; resolvers need its
        `trust_anchor` to validate it.
        """
        lines = [
            f"{name} {kind} {_quoted(data) if kind == 'TXT' else data}"
            for name, kind, data in records
        ]
        self.publish_zone_text(zone, "\n".join(lines), signed=signed)

    def publish_zone_text(self, zone: str, text: str, *, signed: bool = False) -> None:
        """
        Replace a zone by records in master file format (RFC 1035 5).

        SOA and NS records are added.
        """
        self._change(zone, text, signed=signed)

    def trust_anchor(self, zone: str) -> str:
        """
        Return the key-signing DNSKEY (RFC 4034 2) of a signed zone, as unbound needs it.

        The root above it is not signed. keymgr's DS is not used, because some versions of Debian's
        knot lack it.
        """
        apex = f"{zone.rstrip('.')}."
        said = self.machine.run(["knotc", "zone-read", apex, apex, "DNSKEY"]).out
        return next(
            line.split("] ", 1)[1] for line in said.splitlines() if " DNSKEY 257 3 " in line
        )

    def remove(self, zone: str) -> None:
        """Delete a zone."""
        self._change(zone, None)

    def zones(self) -> dict[str, str]:
        """Return the published zones: zone (without trailing dot) -> text."""
        return self._state()["zones"]

    def _change(self, zone: str, text: str | None, *, signed: bool = False) -> None:
        name = zone.rstrip(".").lower()
        with locked(state() / "dns.lock"):
            now = self._state()
            before = json.dumps(now)
            now["zones"].pop(name, None)
            now["signed"] = [other for other in now["signed"] if other != name]
            if signed:
                now["signed"].append(name)
            if text is not None:
                now["zones"][name] = text
            now["serial"] += 1
            self._state_file.write_text(json.dumps(now))
            self.machine.unpack(self._files())
            said = self.machine.run(["knotc", "--blocking", "reload"], check=False)
            if said.status == 0 and text is not None:
                said = self.machine.run(["knotc", "zone-check", name], check=False)
            if said.status:
                self._state_file.write_text(before)
                self.machine.unpack(self._files())
                raise LabError(
                    f"the zone {name} could not be published: {(said.err or said.out).strip()}"
                )
            for changed in (".", name) if text is not None else (".",):
                self._await_serial(changed, now["serial"])

    def _await_serial(self, zone: str, serial: int) -> None:
        """`zone-read` reads the server's memory, so it shows what the server answers."""

        def answered() -> bool:
            soa = self.machine.run(["knotc", "zone-read", zone, "@", "SOA"]).out.split()
            # Signing changes the serial.
            return serial <= int(soa[-5]) <= serial + 1

        wait_until(answered, f"the zone {zone} with serial {serial}", timeout=10)

    @property
    def _state_file(self) -> Path:
        return host_path(state() / "dns.json")

    def _state(self) -> State:
        if self._state_file.exists():
            known: State = json.loads(self._state_file.read_text())
            return known
        return {"serial": 1, "zones": {}, "signed": []}

    def _files(self) -> dict[str, File]:
        """Return Knot's configuration and all zone files, from the lab's state."""
        now = self._state()
        zones, serial = now["zones"], now["serial"]
        soa = f"@ 0 SOA {ROOT_SERVER} hostmaster.root-servers.lab. {serial} 3600 600 86400 0\n"
        soa += f"@ 0 NS {ROOT_SERVER}\n"
        delegations = "".join(f"{zone}. 0 NS {ROOT_SERVER}\n" for zone in zones)
        texts = {".": soa + ADDRESSES + delegations}
        texts |= {zone: f"$ORIGIN {zone}.\n$TTL 0\n{soa}{text}\n" for zone, text in zones.items()}
        names = "".join(
            f'  - domain: "{zone}"\n    file: "{_file(zone)}"\n'
            + ("    dnssec-signing: on\n    dnssec-policy: lab\n" if zone in now["signed"] else "")
            for zone in texts
        )
        files = {
            f"{ZONES}/{_file(zone)}": File(text, owner="knot", group="knot")
            for zone, text in texts.items()
        }
        return files | {"/etc/knot/knot.conf": File(KNOT + names, mode="0640", group="knot")}


def _file(zone: str) -> str:
    return "root.zone" if zone == "." else f"{zone}.zone"


def _quoted(text: str) -> str:
    """Return a TXT string in master file format, split at 255 bytes (RFC 1035 3.3)."""
    parts = [text[start : start + 255] for start in range(0, len(text), 255)] or [""]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
