"""The cost of password checks, and what it must not reveal."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, cast

import pytest

from chatmaild.accounts.grant import Grant
from chatmaild.book.accounts import Account
from chatmaild.dovecot import passwords
from chatmaild.service.counters import Counters

ALICE = Account("alice1234@chat.example.org", passwords.hash_password(b"right"), 1, None, False)


class Recorder(Executor):
    """Executes everything at once and records it."""

    def __init__(self) -> None:
        """Begin with nothing done."""
        self.done: list[tuple[str, int]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function; record it with the length of the hash that it was given."""
        future: Future[Any] = Future()
        self.done.append((fn.__name__, len(args[1])))
        future.set_result(fn(*args, **kwargs))
        return future


class Book:
    """A book that contains only Alice."""

    async def find(self, address: str) -> Account | None:
        """Look up Alice."""
        return ALICE if address == ALICE.address else None

    async def create(
        self, address: str, password: str, *, invited_only: bool, prepare: Callable[[], None]
    ) -> tuple[Account, bool]:
        """Fail: checking for an owner never creates an account."""
        raise AssertionError(address)


def asked(address: str, password: bytes) -> tuple[bool, list[tuple[str, int]]]:
    """Check for the owner; return the answer and the work it took."""
    recorder = Recorder()
    grant = Grant(
        cast("Any", None),
        Book(),
        recorder,
        cast("Any", None),
        lambda _address: None,
        Counters(),
    )
    return asyncio.run(grant.is_owner(address, password)), recorder.done


@pytest.mark.parametrize("address", [ALICE.address, "nobody123@chat.example.org"])
def test_unknown_addresses_cost_the_same_work(address: str) -> None:
    """Both compare one hash of full cost, so response times do not reveal which addresses exist."""
    answer, work = asked(address, b"wrong")

    assert not answer
    assert work == [("verify", len(ALICE.password))]


def test_the_dummy_password_opens_no_account() -> None:
    """The dummy hash exists only for constant time."""
    assert not asked("nobody123@chat.example.org", b"nobody's")[0]
    assert asked(ALICE.address, b"right")[0]
