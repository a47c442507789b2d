"""Limits on simultaneous fetches, so that a few base domains cannot use all places."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from chatmaild.tlspolicy import places
from chatmaild.tlspolicy.places import Places, base_domain


@pytest.mark.parametrize(
    ("domain", "base"),
    [("a.b.example.org", "example.org"), ("example.org", "example.org"), ("x.co.uk", "co.uk")],
)
def test_a_base_domain_is_two_labels(domain: str, base: str) -> None:
    """Without a list of public suffixes, all domains below co.uk share their places."""
    assert base_domain(domain) == base


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the wait for a place to a short time."""
    monkeypatch.setattr(places, "WAIT_SECONDS", 0.05)


async def taken(free: Places, *domains: str) -> int:
    """Take a place for each domain until there is none; return the number taken."""
    async with AsyncExitStack() as held:
        for count, domain in enumerate(domains):
            try:
                await held.enter_async_context(free.take(domain))
            except TimeoutError:
                return count
        return len(domains)


def test_one_base_domain_gets_a_few_places() -> None:
    """Whatever the number of its names. Later the places are free again, and nothing is stored."""

    async def claims() -> None:
        free = Places()
        for _ in range(3):
            assert await taken(free, *(f"n{n}.evil.test" for n in range(9))) == 4
        assert (free._users, free._by_base) == ({}, {})

    asyncio.run(claims())


def test_all_base_domains_together_have_a_limit() -> None:
    """Each connection takes memory."""
    domains = [f"evil{n}.test" for n in range(99)]
    assert asyncio.run(taken(Places(), *domains)) == places.ALL


def test_a_free_place_goes_to_a_waiting_fetch() -> None:
    """Fetches are short, so most waiting ones get a place."""

    async def claims() -> None:
        free = Places()
        async with AsyncExitStack() as held:
            for number in range(places.PER_BASE_DOMAIN):
                await held.enter_async_context(free.take(f"n{number}.evil.test"))
            waiting = asyncio.create_task(taken(free, "next.evil.test"))
            await asyncio.sleep(0)
        assert await waiting == 1

    asyncio.run(claims())
