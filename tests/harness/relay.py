"""A relay under test: a relay's value, installed on a machine and booted."""

from __future__ import annotations

import hashlib
import json
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness import host, software
from harness.archive import File
from harness.dns import RESOLV_CONF, Dns
from harness.errors import DeadlineError, LabError
from harness.machine import Machine
from harness.network import Link, is_address
from harness.pki import authority
from harness.process import Result
from harness.value import Settings, Value, evaluate

READY_SECONDS = 60
CERTIFICATE = "/etc/ssl/chatmail/fullchain.pem"
CERTIFICATE_KEY = "/etc/ssl/chatmail/key.pem"
UNITS = "/etc/systemd/system/"


@dataclass(repr=False)
class Relay:
    """
    A running relay.

    `domain` is the setting: the host name, or the IP address of a relay without one. `address` and
    `address6` are where clients reach it, and `machine` is the machine on which it runs.
    """

    domain: str
    machine: Machine
    dns: Dns
    settings: dict[str, Any]
    value: Value

    def __repr__(self) -> str:
        return f"<relay {self.domain} at {self.address}>"

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return self.machine.address

    @property
    def address6(self) -> str:
        """Its IPv6 address."""
        return self.machine.address6

    @property
    def mail_domain(self) -> str:
        """The part after the @: the domain, or the IP address in brackets."""
        return str(self.value.daemons["domain"])

    def credentials(self) -> tuple[str, str]:
        """Return a new address and password; the first login creates the account."""
        accounts = self.value.daemons["accounts"]
        alphabet = string.ascii_lowercase + string.digits
        name = "".join(secrets.choice(alphabet) for _ in range(accounts["nameMaxLength"]))
        password = secrets.token_urlsafe(max(16, accounts["passwordMinLength"]))
        return f"{name}@{self.mail_domain}", password

    def chatmail(self, *arguments: str, check: bool = True, timeout: float = 60) -> Result:
        """Run the operator's command on the relay."""
        return self.machine.run(["chatmail", *arguments], check=check, timeout=timeout)

    def publish(self) -> None:
        """Publish the zone that the relay prints, if it has a domain."""
        if is_address(self.domain):
            return
        self.dns.publish_zone_text(self.domain, self.chatmail("dns").out)

    def wait_ready(self) -> None:
        """Wait until every public port answers; report failed units with their journals."""
        for port in sorted(self.value.ports.values()):
            try:
                self.machine.wait_for_port(port, timeout=READY_SECONDS)
            except DeadlineError as late:
                raise LabError(f"{late}{self._failures()}") from None
        if failures := self._failures():
            raise LabError(f"{self.domain}: not every unit started{failures}")

    def reconfigure(self, settings: Settings) -> None:
        """
        Change its settings; accounts, mail and the DKIM key stay.

        Changed files are written, and the units that read them are restarted, as a NixOS switch
        would do.
        """
        wanted = whole(settings, self.domain, self.machine)
        value = evaluate(wanted)
        old, new = contents(self.value), contents(value)
        changed = {path: file for path, file in new.items() if old.get(path) != file}
        gone = sorted(old.keys() - new.keys())
        self.machine.unpack(changed)
        if ended := [path.removeprefix(UNITS) for path in gone if path.startswith(UNITS)]:
            units = [unit for unit in ended if "/" not in unit]
            self.machine.run(["systemctl", "disable", "--quiet", "--now", *units], check=False)
            self.machine.run(["systemctl", "reset-failed", *units], check=False)
        if gone:
            self.machine.run(["rm", "-f", *gone])
        self.machine.run(["systemd-sysusers"])
        self.machine.run(["systemctl", "daemon-reload"])
        self.machine.run(["systemctl", "enable", "--quiet", *value.units])
        stale = readers([*changed, *gone], self.value, value) & value.reads.keys()
        self.settings, self.value = wanted, value
        self.machine.note("settings", json.dumps(wanted))
        self.machine.note("contents", fingerprint(value, wanted))
        at_boot = stale.intersection(value.units)
        # Units started by a timer or a socket are restarted only if they run.
        for verb, names in (("restart", at_boot), ("try-restart", stale - at_boot)):
            if names:
                self.machine.run(["systemctl", verb, *sorted(names)], timeout=READY_SECONDS)
        self.wait_ready()

    def _failures(self) -> str:
        parts = []
        for unit in self.machine.failed_units() if self.machine.running() else []:
            lines = self.machine.journal(unit).splitlines()[-12:]
            parts.append(f"\n{unit} failed:\n" + "\n".join(f"  {line}" for line in lines))
        return "".join(parts)


def readers(paths: Iterable[str], *values: Value) -> set[str]:
    """Return the units that read one of these files when they start."""
    return {
        unit
        for value in values
        for unit, read in value.reads.items()
        # An instance of a template reads them when it is started.
        if not unit.endswith("@.service") and not set(read).isdisjoint(paths)
    }


def whole(settings: Settings, domain: str, place: Machine | Link) -> dict[str, Any]:
    """
    Return the settings with the lab's defaults: addresses, and a certificate from its CA.

    The load average is that of the host, which may do more than these tests. All clients of a lab
    are in one network, in which hundreds of accounts are created.
    """
    complete = {
        "addresses": {"ipv4": place.address, "ipv6": place.address6},
        "admission": {"maxLoad": 0},
        **settings,
        "accounts": {
            "perNetworkPerMinute": 100000,
            "maxPerHour": 0,
            **settings.get("accounts", {}),
        },
        "domain": domain,
    }
    self_made = domain.startswith("_") or is_address(domain)
    if not self_made and "certificate" not in settings:
        complete["certificate"] = {
            "source": "files",
            "file": CERTIFICATE,
            "keyFile": CERTIFICATE_KEY,
        }
    return complete


def contents(value: Value) -> dict[str, File]:
    """Return all files that make a plain machine this relay, except the certificate and its key."""
    client = software.deltachat() if value.daemons["echo"] else {}
    return plain(value.host) | software.files() | client | value.files


def plain(name: str) -> dict[str, File]:
    """Return the files that every machine of the lab needs."""
    return {
        "/etc/hostname": File(f"{name}\n"),
        "/etc/hosts": File("127.0.0.1 localhost\n::1 localhost\n"),
        "/etc/resolv.conf": File(RESOLV_CONF),
    }


def fingerprint(value: Value, settings: Settings) -> str:
    """Return a string that changes with everything that determines the relay."""
    digest = hashlib.sha256()
    for path, file in sorted(contents(value).items()):
        digest.update(repr((path, file)).encode())
    digest.update(repr((value.units, settings)).encode())
    return digest.hexdigest()


def install(machine: Machine, value: Value, settings: Settings) -> None:
    """Install a relay on a machine that is switched off."""
    for key, limit in value.sysctl.items():
        host.raise_limit(key, limit)
    files = contents(value)
    certificate = settings.get("certificate", {})
    if certificate.get("file") == CERTIFICATE:
        chain, key = authority().certificate(
            value.host, f"www.{value.host}", f"mta-sts.{value.host}"
        )
        files |= {CERTIFICATE: File(chain), CERTIFICATE_KEY: File(key, mode="0600")}
    machine.unpack(files)
    machine.run(["systemd-sysusers"])
    machine.run(["python3", "-m", "compileall", "-q", f"{software.PACKAGES}/chatmaild"])
    machine.run(["systemctl", "enable", "--quiet", *value.units])
    machine.note("settings", json.dumps(settings))
