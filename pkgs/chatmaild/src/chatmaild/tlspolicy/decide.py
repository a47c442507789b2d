"""
Which TLS level a destination gets: DANE, else MTA-STS, else the default.

Postfix' own `dane` level falls back to TLS without any verification where there is no TLSA record;
the relay falls back to `verify`. So the choice is made here, per domain, and Postfix is told one of

    dane-only                     mail servers with TLSA records in signed zones (RFC 7672)
    secure match=… servername=…   the hosts of an enforced MTA-STS policy (RFC 8461)
    nothing                       main.cf: the certificate must carry the mail server's name

DNS answers come from the resolver on loopback, which validates DNSSEC and keeps them; nothing is
kept here but policies (`keeping`), which must outlive a DNS answer that somebody suppresses.
"""

import asyncio
import logging
import ssl
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from chatmaild.tlspolicy import sts
from chatmaild.tlspolicy.keeping import Policies
from chatmaild.tlspolicy.sts import Policy, StsError

MAX_MAIL_SERVERS = 10
RETRY_SECONDS = 300.0
"""After a fetch that failed (RFC 8461 3.3)."""
MAX_FAILURES = 10_000
FETCHES_AT_ONCE = 50

log = logging.getLogger("chatmail-tls")


class DnsUnavailableError(Exception):
    """DNS gave no answer, which says nothing about a record."""


@dataclass(frozen=True, slots=True)
class Answer[T]:
    """Records, perhaps none, and whether DNSSEC proves them, or their absence."""

    records: list[T]
    secure: bool


@dataclass(frozen=True, slots=True)
class Tlsa:
    """The three numbers of a TLSA record (RFC 6698 2.1)."""

    usage: int
    selector: int
    matching: int

    @property
    def usable(self) -> bool:
        """Whether SMTP may go by it: DANE-TA or DANE-EE (RFC 7672 3.1), known forms."""
        return self.usage in (2, 3) and self.selector in (0, 1) and self.matching in (0, 1, 2)


class Dns(Protocol):
    """The questions asked; each raises `DnsUnavailableError`, names are without a last dot."""

    async def mail_servers(self, domain: str) -> Answer[str]:
        """Return the MX hosts, the domain itself if there is no MX record, [] for no such name."""

    async def addresses(self, host: str) -> Answer[str]:
        """Return IPv4 and IPv6 addresses."""

    async def tlsa(self, host: str) -> Answer[Tlsa]:
        """Return the TLSA records for port 25 of a host."""

    async def txt(self, name: str) -> Answer[bytes]:
        """Return the TXT records, each with its strings joined."""


Fetch = Callable[[str, list[str]], Awaitable[Policy]]


class Decider:
    """Answers for domains; policies are fetched, and kept as long as they say (`max_age`)."""

    def __init__(
        self,
        dns: Dns,
        policies: Policies,
        fetch: Fetch | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with the policies kept; `clock` is theirs."""
        self._dns = dns
        self._policies = policies
        self._context = ssl.create_default_context() if fetch is None else None
        self._fetch = fetch or self._fetch_verified
        self._clock = clock
        self._failed: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[Policy | None]] = {}
        self._places = asyncio.Semaphore(FETCHES_AT_ONCE)

    async def level(self, domain: str) -> str | None:
        """Return Postfix' policy for a domain, None for its default; `DnsUnavailableError`."""
        if await self._has_dane(domain):
            return "dane-only"
        policy = await self._policy(domain)
        if policy is None or policy.mode != "enforce":
            return None
        # Postfix writes "any name below" with a dot in front.
        names = ":".join(host.removeprefix("*") for host in policy.hosts)
        return f"secure match={names} servername=hostname"

    async def _has_dane(self, domain: str) -> bool:
        servers = await self._dns.mail_servers(domain)
        if not servers.secure:
            return False
        for host in servers.records[:MAX_MAIL_SERVERS]:
            # RFC 7672 2.2.2: where addresses are not signed, TLSA is not asked for.
            if not (await self._dns.addresses(host)).secure:
                continue
            found = await self._dns.tlsa(host)
            if found.secure and any(record.usable for record in found.records):
                return True
        return False

    async def _policy(self, domain: str) -> Policy | None:
        kept = self._policies.get(domain)
        known = kept.policy if kept else None
        try:
            found = sts.record_id((await self._dns.txt(f"_mta-sts.{domain}")).records)
        except DnsUnavailableError:
            if known:
                return known
            raise
        # RFC 8461 5.1: without a record, or with that of before, a policy kept still holds.
        if kept and found == kept.record_id:
            if kept.renew <= self._clock() and not self._failed_lately(domain, found):
                # RFC 8461 10.2: before it ends, and no mail waits for it.
                self._renewal(domain, found)
            return known
        if found is None or self._failed_lately(domain, found):
            return known
        # RFC 8461 3.3: what was known goes on, else the domain has no policy.
        return await asyncio.shield(self._renewal(domain, found)) or known

    def _renewal(self, domain: str, record_id: str) -> asyncio.Task[Policy | None]:
        task = self._under_way.get(domain)
        if task is None:
            task = asyncio.create_task(self._renew(domain, record_id))
            self._under_way[domain] = task
            task.add_done_callback(lambda _: self._under_way.pop(domain, None))
        return task

    async def _renew(self, domain: str, record_id: str) -> Policy | None:
        try:
            addresses = await self._dns.addresses(f"mta-sts.{domain}")
            async with self._places:
                policy = await self._fetch(domain, addresses.records)
        except (StsError, DnsUnavailableError):
            log.info("an MTA-STS policy could not be fetched")
            self._failed[domain] = (record_id, self._clock() + RETRY_SECONDS)
            self._failed.move_to_end(domain)
            while len(self._failed) > MAX_FAILURES:
                self._failed.popitem(last=False)
            return None
        self._failed.pop(domain, None)
        self._policies.keep(domain, record_id, policy)
        return policy

    def _failed_lately(self, domain: str, record_id: str) -> bool:
        failed_id, until = self._failed.get(domain, ("", 0.0))
        return failed_id == record_id and self._clock() < until

    async def _fetch_verified(self, domain: str, addresses: list[str]) -> Policy:
        assert self._context is not None  # noqa: S101 - set where no other fetch is
        return await sts.fetch(domain, addresses, self._context)
