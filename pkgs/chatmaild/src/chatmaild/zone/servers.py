"""Queries the name servers of a domain directly, so that no cache hides a change."""

from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from chatmaild.zone.meaning import Ask, Values
from chatmaild.zone.records import ZoneError

SECONDS = 5.0
MAX_SERVERS = 8
FOLLOWED = 8
"""Aliases followed for one name."""


class NoAnswerError(Exception):
    """A server sends no usable answer; the message says what happened."""


def authoritative(domain: str) -> list[tuple[str, str]]:
    """
    Find the name servers of the zone that contains `domain`: (name, address), one address each.

    Raises `ZoneError` if there is no such zone or the resolver does not answer.
    """
    try:
        zone = dns.resolver.zone_for_name(dns.name.from_text(domain), lifetime=15.0)
        names = [record.target for record in dns.resolver.resolve(zone, "NS", lifetime=15.0)]
    except dns.exception.DNSException as error:
        if _nothing_answers(error):
            raise ZoneError(
                "this host's resolver does not answer; see `systemctl status unbound`"
            ) from None
        raise ZoneError(
            f"the name servers of {domain} cannot be found ({type(error).__name__}):"
            " is the domain delegated?"
        ) from None
    # For unregistered names the root or a top-level domain answers.
    if len(zone) <= 2:  # noqa: PLR2004 - the label and the root's empty one
        raise ZoneError(f"{domain} is not delegated: the registrar has no name servers for it")
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
        raise ZoneError(f"no name server of {domain} has an address")
    return result


def _nothing_answers(error: dns.exception.DNSException) -> bool:
    """Whether no resolver answered, as opposed to an answer that reports a failure."""
    if not isinstance(error, dns.resolver.NoNameservers | dns.resolver.LifetimeTimeout):
        return False
    tries = error.kwargs.get("errors", [])
    return all(response is None for *_, response in tries)


def asking(address: str) -> Ask:
    """Query this server; the resolver is asked about names that it delegates to others."""

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
        raise NoAnswerError(f"{name} is an alias in a loop")

    return ask


def _exchange(name: dns.name.Name, kind: str, address: str) -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    query.flags &= ~dns.flags.RD
    try:
        answer, _ = dns.query.udp_with_fallback(query, address, timeout=SECONDS)
    except (dns.exception.DNSException, OSError) as error:
        raise NoAnswerError(type(error).__name__) from None
    if answer.rcode() == dns.rcode.REFUSED:
        # The zone is not (or no longer) on this server: an alias may lead elsewhere.
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
        return joined.decode("utf-8", "replace")
    return str(record.to_text())
