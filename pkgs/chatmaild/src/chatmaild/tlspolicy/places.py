"""
Limits how many policies are fetched at once, in total and per base domain.

Any account can write to domains whose servers never answer, and every wait occupies a process of
Postfix. So the names of one base domain share a few places, and other domains do not wait for them.
A base domain is the last two labels: a list of public suffixes would take memory, and the limit
need not be exact. Where names are sold below a second label (co.uk), many owners share the places.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

ALL = 50
PER_BASE_DOMAIN = 4
WAIT_SECONDS = 2.0


def base_domain(domain: str) -> str:
    """Return the last two labels."""
    return ".".join(domain.split(".")[-2:])


class Places:
    """Places for fetches: 50 in all, four for each base domain."""

    def __init__(self) -> None:
        """Start with all places free."""
        self._all = asyncio.Semaphore(ALL)
        self._by_base: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def take(self, domain: str) -> AsyncIterator[None]:
        """
        Hold a place for a domain.

        Raises:
            TimeoutError: none has become free within two seconds.

        """
        base = base_domain(domain)
        own = self._by_base.setdefault(base, asyncio.Semaphore(PER_BASE_DOMAIN))
        self._users[base] += 1
        try:
            async with AsyncExitStack() as held:
                async with asyncio.timeout(WAIT_SECONDS):
                    await held.enter_async_context(own)
                    await held.enter_async_context(self._all)
                yield
        finally:
            self._users[base] -= 1
            if not self._users[base]:
                del self._users[base], self._by_base[base]
