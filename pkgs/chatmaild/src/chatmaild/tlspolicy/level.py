"""
Chooses the TLS level of a destination: DANE, else MTA-STS, else the default.

Postfix' own level `dane` falls back to unverified TLS if there are no TLSA records, but the relay
must fall back to `verify`. So the level is chosen here for each domain, and Postfix gets one of

    dane-only                     mail servers with TLSA records in signed zones (RFC 7672)
    secure match=… servername=…   the hosts of an enforced MTA-STS policy (RFC 8461)
    nothing                       as in main.cf: the certificate must have the mail server's name

DNS answers come from the resolver on loopback, which validates DNSSEC and caches them. Only
policies are stored here (`policy_store`), because they must survive an attacker who suppresses DNS
answers.
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
from chatmaild.tlspolicy.fetch import fetch
from chatmaild.tlspolicy.places import Places
from chatmaild.tlspolicy.policy_store import Policies
from chatmaild.tlspolicy.sts import Policy, StsError

MAX_MAIL_SERVERS = 10
RETRY_SECONDS = 300.0
"""The pause after a failed fetch (RFC 8461 3.3)."""
MAX_FAILURES = 10_000

log = logging.getLogger("chatmail-tls")


class DnsUnavailableError(Exception):
    """DNS gave no answer, so it is unknown whether a record exists."""


@dataclass(frozen=True, slots=True)
class Answer[T]:
    """Records, possibly none, and whether DNSSEC proves them or their absence."""

    records: list[T]
    secure: bool


@dataclass(frozen=True, slots=True)
class Tlsa:
    """The three parameters of a TLSA record (RFC 6698 2.1)."""

    usage: int
    selector: int
    matching: int

    @property
    def usable(self) -> bool:
        """Whether SMTP can use the record: DANE-TA or DANE-EE (RFC 7672 3.1) in a known form."""
        return self.usage in (2, 3) and self.selector in (0, 1) and self.matching in (0, 1, 2)


class Dns(Protocol):
    """The queries; each may raise `DnsUnavailableError`. Names have no trailing dot."""

    async def mail_servers(self, domain: str) -> Answer[str]:
        """Return the MX hosts; the domain itself without MX records; [] for an unknown name."""

    async def addresses(self, host: str) -> Answer[str]:
        """Return the IPv4 and IPv6 addresses of a host."""

    async def tlsa(self, host: str) -> Answer[Tlsa]:
        """Return the TLSA records for port 25 of a host."""

    async def txt(self, name: str) -> Answer[bytes]:
        """Return the TXT records, each with its strings joined."""


Fetch = Callable[[str, list[str]], Awaitable[Policy]]


class Decider:
    """Chooses levels for domains; fetches policies and keeps them for their `max_age`."""

    def __init__(
        self,
        dns: Dns,
        policies: Policies,
        fetch: Fetch | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with the stored policies; `clock` is the one that they use."""
        self._dns = dns
        self._policies = policies
        self._context = ssl.create_default_context() if fetch is None else None
        self._fetch = fetch or self._fetch_verified
        self._clock = clock
        self._failed: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[Policy | None]] = {}
        self._places = Places()

    async def level(self, domain: str) -> str | None:
        """Return the level of a domain, or None for the default; raises `DnsUnavailableError`."""
        if await self._has_dane(domain):
            return "dane-only"
        policy = await self._policy(domain)
        if policy is None or policy.mode != "enforce":
            return None
        # Postfix writes "any name below" with a leading dot.
        names = ":".join(host.removeprefix("*") for host in policy.hosts)
        return f"secure match={names} servername=hostname"

    async def _has_dane(self, domain: str) -> bool:
        servers = await self._dns.mail_servers(domain)
        if not servers.secure:
            return False
        for host in servers.records[:MAX_MAIL_SERVERS]:
            # RFC 7672 2.2.2: without signed addresses, TLSA records are not queried.
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
        # RFC 8461 5.1: a stored policy remains valid without a record, or with the same record.
        if kept and found == kept.record_id:
            if kept.renew <= self._clock() and not self._failed_lately(domain, found):
                # RFC 8461 10.2: renew the policy before it expires. No mail waits for this.
                self._renewal(domain, found)
            return known
        if found is None or self._failed_lately(domain, found):
            return known
        # RFC 8461 3.3: if the fetch fails, the known policy remains valid, or there is none.
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
            async with self._places.take(domain):
                policy = await self._fetch(domain, addresses.records)
        except (StsError, DnsUnavailableError, TimeoutError):
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
        return await fetch(domain, addresses, self._context)
