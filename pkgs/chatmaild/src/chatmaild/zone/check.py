"""
Compares the records of the domain's name servers with those that the relay needs.

Every authoritative server that is listed in the DNS is queried, so that a secondary that lags
behind is noticed. An unlisted primary is not queried, because resolvers do not query it either. All
faults are reported together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509

from chatmaild.config import Config, DnsRecord, Need
from chatmaild.zone.meaning import (
    Ask,
    Consequence,
    Own,
    Values,
    Wanted,
    judge,
    relevant,
    unwanted_addresses,
)
from chatmaild.zone.records import ZoneError, record_kind
from chatmaild.zone.servers import NoAnswerError, asking, authoritative

MEANING = {
    "required": "without these the relay does not work",
    "recommended": "with these it works better with others",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Missing or wrong records of a name and type; without `servers` it applies to all of them."""

    name: str
    type: str
    found: Values
    wanted: tuple[str, ...]
    consequences: tuple[Consequence, ...]
    servers: tuple[str, ...] = ()

    @property
    def need(self) -> Need:
        """Whether the record is required or recommended."""
        needs = {consequence.need for consequence in self.consequences}
        return "required" if "required" in needs else "recommended"


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of a check; `silent` has a sentence for each server without an answer."""

    domain: str
    servers: int
    silent: tuple[str, ...]
    faults: tuple[Fault, ...]

    @property
    def works(self) -> bool:
        """Whether nothing required is missing or wrong."""
        return all(fault.need != "required" for fault in self.faults)


def own(config: Config, records: list[DnsRecord]) -> Own:
    """Collect the facts about this relay that its records must match."""
    try:
        chain = x509.load_pem_x509_certificates(config.paths.certificate.read_bytes())
    except (OSError, ValueError):
        chain = []
    addresses = (record.data for record in records if record.type in {"A", "AAAA"})
    acme = config.certificate.source == "acme"
    return Own(f"{config.domain}.", frozenset(addresses), tuple(chain), acme=acme)


def collect(domain: str, records: list[DnsRecord], own: Own) -> Findings:
    """
    Query every name server of the domain.

    Raises:
        ZoneError: none can be found, or none answers.

    """
    silent: list[str] = []
    faults: dict[Fault, list[str]] = {}
    asked = 0
    for name, address in authoritative(domain):
        try:
            found = list(compare(records, own, asking(address)))
        except NoAnswerError as error:
            silent.append(f"{name} ({address}): {error}")
            continue
        asked += 1
        for fault in found:
            faults.setdefault(fault, []).append(name)
    if not asked:
        raise ZoneError(f"no name server of {domain} answers: {'; '.join(silent)}")
    return Findings(
        domain,
        asked,
        tuple(silent),
        tuple(
            fault if len(names) == asked else replace(fault, servers=tuple(names))
            for fault, names in faults.items()
        ),
    )


def compare(records: Iterable[DnsRecord], own: Own, ask: Ask) -> Iterator[Fault]:
    """Judge the records that `ask` finds for every name and type; raises `NoAnswerError`."""
    groups: dict[tuple[str, str, str], list[DnsRecord]] = {}
    for record in records:
        kind = record_kind(record.data) if record.type == "TXT" else ""
        groups.setdefault((record.name.lower(), record.type, kind), []).append(record)
    for (name, kind, _), group in groups.items():
        wanted = Wanted(name, kind, tuple(group))
        found = relevant(wanted, ask(name, kind))
        if consequences := tuple(judge(wanted, found, own, ask)):
            data = tuple(record.data for record in group)
            yield Fault(name, kind, found, data, consequences)
    for kind in ("A", "AAAA"):
        if (own.host, kind, "") in groups:
            continue
        found = ask(own.host, kind)
        if texts := list(unwanted_addresses(kind, found, own)):
            consequences = tuple(Consequence(text, "required") for text in texts)
            yield Fault(own.host, kind, found, (), consequences)


def report(findings: Findings) -> Iterator[str]:
    """Write the report for the operator, required records first."""
    for line in findings.silent:
        yield f"no answer: {line}"
    for need, meaning in MEANING.items():
        chosen = [fault for fault in findings.faults if fault.need == need]
        if chosen:
            yield f"{need} ({meaning}):"
        for fault in chosen:
            yield from _lines(fault)
    if not findings.faults:
        many = "s" * (findings.servers != 1)
        yield f"{findings.domain}: all records are correct at {findings.servers} name server{many}"


def _lines(fault: Fault) -> Iterator[str]:
    at = f" at {', '.join(fault.servers)}" if fault.servers else ""
    label = f"{fault.name} {fault.type}"
    wanted = " and ".join(fault.wanted)
    if not fault.found:
        yield f"  missing{at}: {label} {wanted}"
    else:
        yield f"  wrong{at}: {label} is {' and '.join(sorted(fault.found))}"
    for consequence in fault.consequences:
        yield f"    {consequence.text}"
    if fault.found:
        yield f"    should be {wanted}" if wanted else "    remove it"


def described(findings: Findings) -> dict[str, Any]:
    """Return the findings for JSON output."""
    return {
        "domain": findings.domain,
        "servers": findings.servers,
        "silent": list(findings.silent),
        "faults": [
            {
                "name": fault.name,
                "type": fault.type,
                "need": fault.need,
                "found": sorted(fault.found),
                "wanted": list(fault.wanted),
                "consequences": [consequence.text for consequence in fault.consequences],
                "servers": list(fault.servers),
            }
            for fault in findings.faults
        ],
    }
