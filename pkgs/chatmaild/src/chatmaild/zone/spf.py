"""
Evaluates an SPF record for an address (RFC 7208), as far as DNS alone allows.

`exists`, `ptr` and macros depend on a message or on the peer. A record whose result depends on one
of them is not judged.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from enum import Enum

# RFC 7208 4.6.4
MAX_LOOKUPS = 10

Ask = Callable[[str, str], Iterable[str]]
"""(absolute name, type) -> data of the records; for TXT the bare text."""


class SpfResult(Enum):
    """The result for a receiver; `UNKNOWN` is not in the RFC."""

    PASS = "+"  # noqa: S105 - RFC 7208 calls it so
    FAIL = "-"
    SOFTFAIL = "~"
    NEUTRAL = "?"
    INVALID = "invalid"
    UNKNOWN = "unknown"


class _UndecidedError(Exception):
    """The evaluation ends with this result."""

    def __init__(self, result: SpfResult) -> None:
        super().__init__()
        self.result = result


def is_record(text: str) -> bool:
    """Whether a TXT record is an SPF record (RFC 7208 4.5)."""
    return re.match(r"v=spf1(?: |\Z)", text, re.IGNORECASE) is not None


def evaluate(record: str, domain: str, address: str, ask: Ask) -> SpfResult:
    """Evaluate the record of a domain (an absolute name) for mail from an address."""
    try:
        return _Evaluation(address, ask).result(record, domain)
    except _UndecidedError as undecided:
        return undecided.result


class _Evaluation:
    def __init__(self, address: str, ask: Ask) -> None:
        self._address = ipaddress.ip_address(address)
        self._ask = ask
        self._lookups_left = MAX_LOOKUPS

    def result(self, record: str, domain: str) -> SpfResult:
        redirect = None
        for term in record.split()[1:]:
            if modifier := re.fullmatch(r"([a-z][a-z0-9_.-]*)=(.*)", term, re.IGNORECASE):
                if modifier[1].lower() == "redirect":
                    redirect = modifier[2]
                continue
            qualifier, mechanism = (term[0], term[1:]) if term[0] in "+-~?" else ("+", term)
            if self._matches(mechanism, domain):
                return SpfResult(qualifier)
        if redirect is None:
            return SpfResult.NEUTRAL
        return self._of(redirect)

    def _matches(self, mechanism: str, domain: str) -> bool:
        found = re.fullmatch(r"([a-z0-9]+)(?::([^/]+))?((?:/\d+)?(?://\d+)?)", mechanism.lower())
        if mechanism.lower().startswith(("ip4:", "ip6:")):
            return self._in(mechanism[4:])
        if found is None:
            raise _UndecidedError(SpfResult.INVALID)
        name, target = found[1], self._name(found[2], domain)
        if name == "all":
            return True
        if name == "include":
            return self._of(target) is SpfResult.PASS
        if name == "a":
            return self._leads_here(target, found[3])
        if name == "mx":
            hosts = [data.split()[-1] for data in self._look_up(target, "MX")]
            return any(self._leads_here(host, found[3], counted=False) for host in hosts)
        raise _UndecidedError(SpfResult.UNKNOWN if name in {"exists", "ptr"} else SpfResult.INVALID)

    def _name(self, text: str | None, domain: str) -> str:
        if text is None:
            return domain
        if "%" in text:
            raise _UndecidedError(SpfResult.UNKNOWN)
        return f"{text.removesuffix('.')}."

    def _of(self, target: str) -> SpfResult:
        domain = self._name(target, "")
        records = [text for text in self._look_up(domain, "TXT") if is_record(text)]
        if len(records) != 1:
            raise _UndecidedError(SpfResult.INVALID)
        return self.result(records[0], domain)

    def _leads_here(self, host: str, prefixes: str, *, counted: bool = True) -> bool:
        version = self._address.version
        lengths = re.fullmatch(r"(?:/(\d+))?(?://(\d+))?", prefixes)
        length = lengths[1 if version == 4 else 2] if lengths else None  # noqa: PLR2004 - IPv4
        kind = "A" if version == 4 else "AAAA"  # noqa: PLR2004 - IPv4
        found = self._look_up(host, kind, counted=counted)
        return any(self._in(f"{one}/{length}" if length else one) for one in found)

    def _look_up(self, name: str, kind: str, *, counted: bool = True) -> Iterable[str]:
        self._lookups_left -= counted
        if self._lookups_left < 0:
            raise _UndecidedError(SpfResult.INVALID)
        return self._ask(name, kind)

    def _in(self, network: str) -> bool:
        try:
            return self._address in ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise _UndecidedError(SpfResult.INVALID) from None
