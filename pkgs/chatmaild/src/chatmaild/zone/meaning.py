"""
Judges DNS records by their effect, so that spelling, order and additional values do not matter.

Each judge interprets the records of one name and type as other software does. It yields what does
not work because of missing or wrong records, and nothing if they work.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256, sha512

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chatmaild.config import DnsRecord, Need
from chatmaild.signatures import keys, records, tags
from chatmaild.zone import spf
from chatmaild.zone.records import serves_same_purpose

Values = frozenset[str]
"""Record data as in a zone file, except that the text of TXT records is joined and unquoted."""
Ask = Callable[[str, str], Values]
"""(absolute name, type) -> the records there; raises `NoAnswerError` of `dns_check`."""

CRITICAL = 128  # RFC 8659 4.1
CAA_TAGS = {"issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"}


@dataclass(frozen=True, slots=True)
class Own:
    """
    Facts about this relay: its name with a final dot, its public addresses, its certificate chain.

    The chain is in the order in which servers send it, or empty if it cannot be read. `acme` says
    whether an authority checks the names before it issues a certificate.
    """

    host: str
    addresses: frozenset[str]
    chain: tuple[x509.Certificate, ...]
    acme: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """The records that the relay needs for one name and type; TXT records of one purpose."""

    name: str
    type: str
    records: tuple[DnsRecord, ...]

    @property
    def need(self) -> Need:
        """Whether the records are required or recommended."""
        return self.records[0].need

    @property
    def data(self) -> str:
        """The data of the first record."""
        return self.records[0].data


@dataclass(frozen=True, slots=True)
class Consequence:
    """A sentence about what does not work, and whether it is required."""

    text: str
    need: Need


Judgement = Iterator[str | Consequence]
"""A judge yields plain text if its need is that of the record."""


def judge(wanted: Wanted, found: Values, own: Own, ask: Ask) -> list[Consequence]:
    """Return what does not work because of the records found; [] if all is well."""
    judgement = _judge_of(wanted)(wanted, found, own, ask)
    return [
        one if isinstance(one, Consequence) else Consequence(one, wanted.need) for one in judgement
    ]


def relevant(wanted: Wanted, found: Values) -> Values:
    """Leave out TXT records that serve other purposes."""
    if wanted.type != "TXT":
        return found
    return frozenset(text for text in found if serves_same_purpose(wanted.records[0], text))


def unwanted_addresses(kind: str, found: Values, own: Own) -> Iterator[str]:
    """Judge addresses of an IP version that the relay does not have."""
    version = "IPv4" if kind == "A" else "IPv6"
    if foreign := {_address(one) for one in found} - own.addresses:
        yield (
            f"this relay has no {version} address: connections to {_and(foreign)} do not reach it"
        )


def _addresses(wanted: Wanted, found: Values, own: Own, _ask: Ask) -> Judgement:
    version = "IPv4" if wanted.type == "A" else "IPv6"
    there = {_address(one) for one in found}
    if not there & own.addresses:
        yield f"the relay cannot be found over {version}"
    if foreign := there - own.addresses:
        yield f"connections to {_and(foreign)} reach this relay only if it has that address, too"


def _mail(_wanted: Wanted, found: Values, own: Own, _ask: Ask) -> Judgement:
    servers = sorted((int(one.split()[0]), one.split()[-1].lower()) for one in found)
    ours = [preference for preference, host in servers if host == own.host]
    if not servers:
        yield "some servers send no mail to a domain without an MX record"
    elif not ours:
        yield f"mail goes to {_and({host for _, host in servers})} and not to this relay"
    elif first := {host for preference, host in servers if preference <= ours[0]} - {own.host}:
        yield f"mail goes to {_and(first)} as well, before or instead of this relay"


def _alias(wanted: Wanted, found: Values, own: Own, ask: Ask) -> Judgement:
    if any(one.lower() == own.host for one in found):
        return
    # Some providers have no aliases, or answer with their targets.
    there = {_address(one) for kind in ("A", "AAAA") for one in ask(wanted.name, kind)}
    if there and there <= own.addresses:
        return
    name = wanted.name.removesuffix(".")
    where = f"leads to {_and(there)}" if there else "leads nowhere"
    lost = (
        "other servers cannot fetch the MTA-STS policy"
        if name.startswith("mta-sts.")
        else "browsers do not find the website there"
    )
    yield f"{name} {where}: {lost}{', and the certificate cannot be renewed' * own.acme}"


def _service(wanted: Wanted, found: Values, own: Own, _ask: Ask) -> Judgement:
    port = wanted.data.split()[2]
    if not any(one.lower().split()[2:] == [port, own.host] for one in found):
        yield "clients that use SRV records do not find this service"


def _certificate_key(wanted: Wanted, found: Values, own: Own, _ask: Ask) -> Judgement:
    usable = [one for one in map(_tlsa, found) if one is not None]
    if not usable:
        yield "other servers cannot verify this relay by DANE"
    elif not any(_is_ours(*one, wanted, own) for one in usable):
        yield "if the zone is signed (DNSSEC), servers that verify DANE send no mail to this relay"


def _tlsa(data: str) -> tuple[int, int, int, str] | None:
    """Read a TLSA record; None for one that SMTP does not use (RFC 7672 3.1)."""
    usage, selector, matching, *parts = data.lower().split()
    numbers = (int(usage), int(selector), int(matching))
    if numbers[0] not in {2, 3} or numbers[1] not in {0, 1} or numbers[2] not in {0, 1, 2}:
        return None
    return (*numbers, "".join(parts))


def _is_ours(usage: int, selector: int, matching: int, data: str, wanted: Wanted, own: Own) -> bool:
    if (usage, selector, matching) == (3, 1, 1) and data == wanted.data.split()[-1]:
        return True
    # DANE-EE is about the certificate itself, DANE-TA about one above it.
    for certificate in own.chain[:1] if usage == 3 else own.chain[1:]:  # noqa: PLR2004 - DANE-EE
        content = (
            certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            if selector
            else certificate.public_bytes(Encoding.DER)
        )
        forms = (content.hex(), sha256(content).hexdigest(), sha512(content).hexdigest())
        if data == forms[matching]:
            return True
    return False


def _authorities(wanted: Wanted, found: Values, _own: Own, _ask: Ask) -> Judgement:
    properties = [re.fullmatch(r'(\d+) (\S+) "(.*)"', one) for one in found]
    read = [(int(one[1]), one[2].lower(), one[3]) for one in properties if one]
    strange = {tag for flags, tag, _ in read if flags & CRITICAL and tag not in CAA_TAGS}
    if strange:
        yield Consequence(
            f"authorities that do not support {_and(strange)} issue no certificate", "required"
        )
    issuers = [value.partition(";") for _, tag, value in read if tag == "issue"]
    ours = re.findall(r'"(.*)"', wanted.data)[0]
    allowed = [parameters for issuer, _, parameters in issuers if issuer.strip().lower() == ours]
    if not issuers:
        yield "every certificate authority may issue certificates for this domain"
    elif not allowed:
        yield Consequence(
            f"{ours} may not issue certificates, so the relay's cannot be renewed there", "required"
        )
    elif not any(_allows_http(parameters) for parameters in allowed):
        yield Consequence(
            f"{ours} may not check the domain over HTTP: the certificate cannot be renewed",
            "required",
        )


def _allows_http(parameters: str) -> bool:
    """Whether an issuer's parameters allow the check by HTTP, which the relay uses (RFC 8657 4)."""
    methods = re.search(r"validationmethods\s*=\s*([^;\s]*)", parameters, re.IGNORECASE)
    return methods is None or "http-01" in methods[1].lower().split(",")


def _spf(_wanted: Wanted, found: Values, own: Own, ask: Ask) -> Judgement:
    valid = [text for text in found if spf.is_record(text)]
    if len(found) > 1:
        yield "servers ignore SPF if there are several records"
        return
    if not valid:
        yield "other servers cannot check by SPF that mail comes from this relay"
        return
    for address in sorted(own.addresses):
        result = spf.evaluate(valid[0], own.host, address, ask)
        if result is spf.SpfResult.INVALID:
            yield "servers ignore the record, because it is not valid"
            return
        if result is spf.SpfResult.FAIL:
            yield f"servers that check SPF refuse mail from {address}"
        elif result in {spf.SpfResult.SOFTFAIL, spf.SpfResult.NEUTRAL}:
            yield f"servers that check SPF distrust mail from {address}"


def _dkim(wanted: Wanted, found: Values, _own: Own, _ask: Ask) -> Judgement:
    if not found:
        yield "other servers refuse this relay's mail, because they cannot verify its signatures"
        return
    ours = _dkim_key(wanted.data)
    read = [_dkim_key(text) for text in found]
    if ours not in read:
        yield "other servers refuse this relay's mail, because its signatures are by another key"
    elif any(key != ours for key in read):
        yield "other servers refuse some of this relay's mail, because there are several keys"


def _dkim_key(text: str) -> bytes | None:
    """Return the public key in a record; None for one that cannot verify this relay's mail."""
    try:
        kind = tags.parse(text.encode()).get(b"k", b"rsa").lower()
        key = records.read(text.encode(), kind + b"-sha256", same_domain=True)
    except tags.UnusableError:
        return None
    return None if key is None else keys.public_bytes(key)


def _dmarc(_wanted: Wanted, found: Values, _own: Own, _ask: Ask) -> Judgement:
    if not found:
        yield "other servers do not refuse forged mail from this domain"
        return
    if len(found) > 1:
        yield "servers ignore DMARC if there are several records"
        return
    read = _tags(next(iter(found)))
    policy = read.get("p", "").lower()
    if policy not in {"reject", "quarantine", "none"}:
        yield "servers ignore the record, because it has no policy (p=reject)"
    elif policy == "none" or read.get("pct") == "0":
        yield "other servers do not refuse forged mail from this domain"


def _sts(_wanted: Wanted, found: Values, _own: Own, _ask: Ask) -> Judgement:
    if not found:
        yield "other servers do not look for the MTA-STS policy"
    elif len(found) > 1:
        yield "servers ignore MTA-STS if there are several records"
    # RFC 8461 3.1; the version is case-sensitive there.
    elif not re.match(r"v=STSv1[ \t]*;", text := next(iter(found))) or not re.fullmatch(
        r"[A-Za-z0-9]{1,32}", _tags(text).get("id", "")
    ):
        yield "servers ignore the record: it must look like `v=STSv1; id=1` (letters and digits)"


def _reports(_wanted: Wanted, found: Values, _own: Own, _ask: Ask) -> Judgement:
    rua = [_tags(text).get("rua", "") for text in found]
    if len(rua) != 1 or not re.match(r"(?:mailto|https):", rua[0], re.IGNORECASE):
        yield "other servers' reports about failed TLS do not arrive"


def _adsp(_wanted: Wanted, found: Values, _own: Own, _ask: Ask) -> Judgement:
    if not found:
        yield "servers that still use ADSP (RFC 5617) do not refuse unsigned mail"


def _published(wanted: Wanted, found: Values, _own: Own, _ask: Ask) -> Judgement:
    if wanted.data.lower() not in {one.lower() for one in found}:
        yield "it is not published correctly"


_BY_TYPE = {
    "A": _addresses,
    "AAAA": _addresses,
    "MX": _mail,
    "CNAME": _alias,
    "SRV": _service,
    "TLSA": _certificate_key,
    "CAA": _authorities,
}
_BY_TEXT = {
    "v=spf1": _spf,
    "v=DKIM1": _dkim,
    "v=DMARC1": _dmarc,
    "v=STSv1": _sts,
    "v=TLSRPTv1": _reports,
    "dkim=": _adsp,
}


def _judge_of(wanted: Wanted) -> Callable[[Wanted, Values, Own, Ask], Judgement]:
    if wanted.type != "TXT":
        return _BY_TYPE.get(wanted.type, _published)
    return next((one for text, one in _BY_TEXT.items() if wanted.data.startswith(text)), _published)


def _tags(text: str) -> dict[str, str]:
    """Parse a tag list; names become lower-case."""
    pairs = [tag.partition("=") for tag in text.split(";")]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _and(names: set[str] | frozenset[str]) -> str:
    return " and ".join(sorted(name.removesuffix(".") or "nowhere" for name in names))
