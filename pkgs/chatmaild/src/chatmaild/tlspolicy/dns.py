"""DNS with DNSSEC for `level`, through the validating resolver of this host."""

import ipaddress

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.rdatatype
import dns.resolver

from chatmaild.tlspolicy.level import Answer, DnsUnavailableError, Tlsa

SECONDS = 15.0
PAYLOAD_BYTES = 1232
MAX_RECORDS = 50


class Resolver:
    """
    Queries the resolver in /etc/resolv.conf.

    The AD flag, which marks an answer as validated, counts only if the resolver is on loopback.
    Otherwise anyone on the network path could have set it.
    """

    def __init__(self) -> None:
        """Read /etc/resolv.conf."""
        self._resolver = dns.asyncresolver.Resolver()
        self._resolver.use_edns(0, dns.flags.DO, PAYLOAD_BYTES)
        self._resolver.flags = dns.flags.RD | dns.flags.AD
        self._trusted = all(
            ipaddress.ip_address(str(server)).is_loopback for server in self._resolver.nameservers
        )

    async def mail_servers(self, domain: str) -> Answer[str]:
        """See `level.Dns`."""
        found = await self._ask(domain, "MX")
        if found is None:
            return Answer([], secure=False)
        hosts = sorted(
            (record.preference, record.exchange.to_text(omit_final_dot=True).lower())
            for record in found.records
        )
        return Answer([host for _, host in hosts] or [domain], found.secure)

    async def addresses(self, host: str) -> Answer[str]:
        """See `level.Dns`; the answers for both address families must be validated."""
        kinds = [await self._ask(host, kind) for kind in ("A", "AAAA")]
        found = [kind for kind in kinds if kind is not None]
        return Answer(
            [record.address for kind in found for record in kind.records],
            secure=bool(found) and all(kind.secure for kind in found),
        )

    async def tlsa(self, host: str) -> Answer[Tlsa]:
        """See `level.Dns`."""
        found = await self._ask(f"_25._tcp.{host}", "TLSA")
        if found is None:
            return Answer([], secure=False)
        return Answer([Tlsa(r.usage, r.selector, r.mtype) for r in found.records], found.secure)

    async def txt(self, name: str) -> Answer[bytes]:
        """See `level.Dns`."""
        found = await self._ask(name, "TXT")
        if found is None:
            return Answer([], secure=False)
        return Answer([b"".join(record.strings) for record in found.records], found.secure)

    async def _ask(self, name: str, kind: str) -> Answer | None:  # type: ignore[type-arg]
        """Look up a name; return None if it does not exist or is not a valid name."""
        try:
            answer = await self._resolver.resolve(
                dns.name.from_text(name), kind, lifetime=SECONDS, raise_on_no_answer=False
            )
        except (dns.resolver.NXDOMAIN, dns.name.LabelTooLong, dns.name.NameTooLong):
            return None
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise DnsUnavailableError from error
        secure = self._trusted and bool(answer.response.flags & dns.flags.AD)
        return Answer(list(answer.rrset or [])[:MAX_RECORDS], secure)
