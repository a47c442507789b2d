"""Checks whether names resolve, and whether the relay's DNS records are true."""

import ipaddress
from collections.abc import Iterator

import dns.exception
import dns.resolver

from chatmaild.config import ConfigError, DkimKey, DnsRecord, is_address
from chatmaild.health.checks import ANSWER_SECONDS, Check, Look
from chatmaild.signatures import keys
from chatmaild.zone import records
from chatmaild.zone.meaning import Own, Values, Wanted, judge, relevant

PUBLISH = "publish what `chatmail dns` prints; `chatmail dns --check` compares"


class SilentResolverError(Exception):
    """The resolver does not answer about a name."""


def resolver(_look: Look) -> Iterator[Check]:
    """Ask the resolver for a name that it knows without other servers."""
    try:
        look_up("localhost.", "A")
    except SilentResolverError:
        yield Check(
            "resolver",
            "wrong",
            "does not answer: no mail leaves, and no mail from other servers is accepted",
            "`systemctl restart unbound`; `journalctl -u unbound` may have the reason",
        )
    else:
        yield Check("resolver", "ok", "answers")


def look_up(name: str, kind: str) -> Values:
    """
    Return the resolver's answer, which may be from its cache; see `Values`.

    Raises:
        SilentResolverError: there is no answer in time.

    """
    try:
        answer = dns.resolver.resolve(name, kind, lifetime=ANSWER_SECONDS, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return frozenset()
    except (dns.exception.DNSException, OSError):
        raise SilentResolverError from None
    if kind == "TXT":
        return frozenset(b"".join(one.strings).decode("utf-8", "replace") for one in answer)
    return frozenset(one.to_text() for one in answer)


def dkim(look: Look) -> Iterator[Check]:
    """Read each key, and compare it with the published one."""
    if not look.config.dkim:
        yield Check("DKIM key", "ok", "none: a relay without a domain name cannot publish one")
    for key in look.config.dkim:
        name = "DKIM key" if len(look.config.dkim) == 1 else f"DKIM key {key.selector}"
        yield _dkim(look, key, name)


def _dkim(look: Look, key: DkimKey, name: str) -> Check:
    try:
        with key.file.open("rb"):
            pass
    except PermissionError:
        return look.hidden(name, str(key.file))
    except OSError:
        pass  # `read` reports it.
    try:
        text = keys.dns_record(keys.read(key.file, key.kind))
    except ConfigError as error:
        remedy = "restore it from a backup; or move it away, `systemctl restart chatmail-filter`"
        sentence = str(error).removesuffix(".")
        return Check(name, "wrong", sentence, f"{remedy} makes a new one, and {PUBLISH}")
    record = f"{key.selector}._domainkey.{look.config.domain}."
    wanted = Wanted(record, "TXT", (DnsRecord(record, "TXT", text, key.need),))
    try:
        found = relevant(wanted, look_up(record, "TXT"))
    except SilentResolverError:
        return Check(name, "unknown", f"the DNS does not answer about {record}")
    own = Own(f"{look.config.domain}.", frozenset(), (), acme=False)
    if faults := judge(wanted, found, own, look_up):
        text = f"{record}: {faults[0].text}"
        return Check(name, "wrong" if key.need == "required" else "note", text, PUBLISH)
    return Check(name, "ok", "published")


def addresses(look: Look) -> Iterator[Check]:
    """Compare the addresses that the DNS publishes with those of this host."""
    config = look.config
    try:
        wanted, here = records.addresses(config), records.host_addresses()
    except records.ZoneError as error:
        yield Check("addresses", "wrong", str(error), "see `ip address`")
        return
    if is_address(config.host):
        yield Check("addresses", "ok", ", ".join(wanted))
        return
    try:
        published = [
            address for kind in ("A", "AAAA") for address in look_up(f"{config.host}.", kind)
        ]
    except SilentResolverError:
        yield Check("addresses", "unknown", f"the DNS does not answer about {config.host}")
        return
    if not published:
        yield Check("addresses", "wrong", f"the DNS has no address for {config.host}", PUBLISH)
        return
    wrong = sorted(one for one in published if not _leads_here(one, wanted, here))
    for one in wrong:
        yield Check(
            "addresses",
            "wrong",
            f"the DNS publishes {one}, which this host does not have: connections there fail",
            "give the host this address again (`ip address` lists them), or remove the record",
        )
    if not wrong:
        yield Check("addresses", "ok", ", ".join(sorted(published)))


def _leads_here(address: str, wanted: list[str], here: list[str]) -> bool:
    """Whether connections to an address can arrive here, also behind NAT."""
    if address in here:
        return True
    version = ipaddress.ip_address(address).version
    same = [one for one in here if ipaddress.ip_address(one).version == version]
    # A configured IPv4 address that the host does not have is the router's.
    return version == 4 and address in wanted and bool(same)  # noqa: PLR2004 - IPv4
