"""
`chatmail dns --check`: what the domain's own name servers say, against what it should be.

Every authoritative server that the world can find is asked, so that no cache hides a change and a
secondary that lags is seen. A primary that is not listed is not asked: nobody else asks it either.
All faults are told at once. Only a required one makes the exit code 1.
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from chatmaild.admin.command import CommandError
from chatmaild.admin.zone import record_kind
from chatmaild.config import DnsRecord

SECONDS = 5.0
MAX_SERVERS = 8
FOLLOWED = 8
"""Aliases followed for one name."""

Values = frozenset[str]


class NoAnswerError(Exception):
    """A server says nothing, or nothing that could be believed; the text says what happened."""


Ask = Callable[[str, str], Values]
"""(absolute name, type) -> normalized data of the records there; raises `NoAnswerError`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A name and type that is not as it should be, at the named server ("" for all of them)."""

    record: DnsRecord
    found: Values
    server: str
    wanted: Values = field(default_factory=frozenset)


def run(domain: str, records: list[DnsRecord]) -> int:
    """Print what is wrong; exit code 0 if everything required is right."""
    servers = authoritative(domain)
    silent: list[str] = []
    faults: dict[tuple[str, str, Values], list[tuple[str, Fault]]] = {}
    asked = 0
    for name, address in servers:
        try:
            found = list(compare(records, asking(address), name))
        except NoAnswerError as error:
            silent.append(f"{name} ({address}): {error}")
            continue
        asked += 1
        for fault in found:
            key = (fault.record.name, fault.record.type, fault.found)
            faults.setdefault(key, []).append((name, fault))
    if not asked:
        raise CommandError(f"no name server of {domain} answers: {'; '.join(silent)}")
    told = [
        (told_by[0][1], "" if len(told_by) == asked else ", ".join(name for name, _ in told_by))
        for told_by in faults.values()
    ]
    for line in report(domain, told, silent, asked):
        print(line)
    return 1 if any(fault.record.need == "required" for fault, _ in told) else 0


def report(
    domain: str, faults: list[tuple[Fault, str]], silent: list[str], asked: int
) -> Iterator[str]:
    """Write the lines, required ones first."""
    for line in silent:
        yield f"no answer: {line}"
    for need, meaning in (
        ("required", "without these the relay does not work"),
        ("recommended", "with these it works better with others"),
    ):
        chosen = [(fault, where) for fault, where in faults if fault.record.need == need]
        if chosen:
            yield f"{need} ({meaning}):"
        for fault, where in chosen:
            at = f" at {where}" if where else ""
            label = f"{fault.record.name} {fault.record.type}"
            wanted = " and ".join(sorted(fault.wanted)) or fault.record.data
            if not fault.found:
                yield f"  missing{at}: {label} {wanted}"
            else:
                yield f"  wrong{at}: {label} is {' and '.join(sorted(fault.found))}"
                yield f"    should be {wanted}"
    if not faults:
        yield f"{domain}: every record is right at {asked} name server{'s' * (asked != 1)}"


def compare(records: Iterable[DnsRecord], ask: Ask, server: str) -> Iterator[Fault]:
    """Compare every name and type with what `ask` finds."""
    groups: dict[tuple[str, str], list[DnsRecord]] = {}
    for record in records:
        groups.setdefault((record.name.lower(), record.type), []).append(record)
    for (name, kind), group in groups.items():
        wanted = frozenset(normal(kind, record.data) for record in group)
        found = ask(name, kind)
        if kind == "TXT":
            # Other TXT records may stand beside it, but no second one of its kind.
            kinds = {record_kind(text) for text in wanted}
            found = frozenset(text for text in found if record_kind(text) in kinds)
        if found == wanted or (kind == "CNAME" and not found and _same_host(name, group, ask)):
            continue
        yield Fault(group[0], found, server, frozenset(record.data for record in group))


def _same_host(name: str, group: list[DnsRecord], ask: Ask) -> bool:
    """Whether a name without the wanted alias has the same addresses, as some providers make it."""
    target = group[0].data
    here, there = ([ask(one, kind) for kind in ("A", "AAAA")] for one in (name, target))
    return any(here) and here == there


def normal(kind: str, data: str) -> str:
    """Write data in one way: case, last dots and spaces differ between providers."""
    if kind != "TXT":
        words = data.lower().split()
        if kind in ("A", "AAAA"):
            return str(ipaddress.ip_address(words[0]))
        if kind == "TLSA":
            return " ".join([*words[:3], "".join(words[3:])])
        return " ".join(word.removesuffix(".") for word in words)
    if "=" not in data:
        return data
    # Tag lists: DKIM, DMARC, MTA-STS, TLSRPT (`;`); SPF is separated by spaces.
    if data.startswith("v=spf1"):
        return " ".join(data.split())
    tags = [tag.strip() for tag in data.split(";")]
    pairs = [tag.partition("=") for tag in tags if tag]
    return ";".join(f"{name.strip()}={''.join(value.split())}" for name, _, value in pairs)


def authoritative(domain: str) -> list[tuple[str, str]]:
    """
    Find the name servers of the zone `domain` is in: (name, address), one address of each.

    Raises `CommandError` if there is no such zone or the resolver does not answer.
    """
    try:
        zone = dns.resolver.zone_for_name(dns.name.from_text(domain), lifetime=15.0)
        names = [record.target for record in dns.resolver.resolve(zone, "NS", lifetime=15.0)]
    except dns.exception.DNSException as error:
        raise CommandError(
            f"the name servers of {domain} cannot be found ({type(error).__name__}):"
            " is the domain delegated?"
        ) from None
    # The root or a top-level domain answers for names that nobody has.
    if len(zone) <= 2:  # noqa: PLR2004 - the label and the root's empty one
        raise CommandError(f"{domain} is not delegated: the registrar has no name servers for it")
    result: list[tuple[str, str]] = []
    for name in sorted(names)[:MAX_SERVERS]:
        for kind in ("A", "AAAA"):
            try:
                answer = dns.resolver.resolve(name, kind, lifetime=SECONDS)
            except dns.exception.DNSException:
                continue
            result.append((name.to_text(omit_final_dot=True), answer[0].address))
            break
    if not result:
        raise CommandError(f"no name server of {domain} has an address")
    return result


def asking(address: str) -> Ask:
    """Ask this server; what it hands over to other servers is asked of the resolver."""

    def ask(name: str, kind: str) -> Values:
        here = dns.name.from_text(name)
        for _ in range(FOLLOWED):
            answer = _exchange(here, kind, address)
            found = answer.get_rrset(
                answer.answer, here, dns.rdataclass.IN, dns.rdatatype.from_text(kind)
            )
            if found is not None:
                return frozenset(_text(record) for record in found)
            alias = answer.get_rrset(answer.answer, here, dns.rdataclass.IN, dns.rdatatype.CNAME)
            if alias is None:
                if answer.flags & dns.flags.AA:
                    return frozenset()
                return _resolved(here, kind)
            here = alias[0].target
            if answer.get_rrset(
                answer.answer, here, dns.rdataclass.IN, dns.rdatatype.from_text(kind)
            ):
                continue
            if not answer.flags & dns.flags.AA:
                return _resolved(here, kind)
        raise NoAnswerError(f"{name} is an alias without end")

    return ask


def _exchange(name: dns.name.Name, kind: str, address: str) -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    query.flags &= ~dns.flags.RD
    try:
        answer, _ = dns.query.udp_with_fallback(query, address, timeout=SECONDS)
    except (dns.exception.DNSException, OSError) as error:
        raise NoAnswerError(type(error).__name__) from None
    if answer.rcode() == dns.rcode.REFUSED:
        # Not its zone (any more): an alias may lead elsewhere.
        answer.flags &= ~dns.flags.AA
        return answer
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise NoAnswerError(f"it says {dns.rcode.to_text(answer.rcode())}")
    return answer


def _resolved(name: dns.name.Name, kind: str) -> Values:
    try:
        answer = dns.resolver.resolve(name, kind, lifetime=SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return frozenset()
    except dns.exception.DNSException as error:
        raise NoAnswerError(f"{name}: {type(error).__name__}") from None
    return frozenset(_text(record) for record in answer)


def _text(record: Any) -> str:
    if record.rdtype == dns.rdatatype.TXT:
        joined: bytes = b"".join(record.strings)
        return normal("TXT", joined.decode("utf-8", "replace"))
    return normal(dns.rdatatype.to_text(record.rdtype), record.to_text())
