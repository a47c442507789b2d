"""What an answer about a password costs, and what it must not tell."""

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
    """Does everything at once, and remembers what it was."""

    def __init__(self) -> None:
        """Begin with nothing done."""
        self.done: list[tuple[str, int]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call, and note the function with the length of the hash it was given."""
        future: Future[Any] = Future()
        self.done.append((fn.__name__, len(args[1])))
        future.set_result(fn(*args, **kwargs))
        return future


class Book:
    """A book in which only Alice is."""

    async def find(self, address: str) -> Account | None:
        """Look her up."""
        return ALICE if address == ALICE.address else None

    async def create(
        self, address: str, password: str, *, invited_only: bool, prepare: Callable[[], None]
    ) -> tuple[Account, bool]:
        """Refuse: asking for an owner never creates one."""
        raise AssertionError(address)


def asked(address: str, password: bytes) -> tuple[bool, list[tuple[str, int]]]:
    """Ask whether this is the owner; return the answer and the work it took."""
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
def test_an_address_without_an_account_costs_the_same_work_as_one_with(address: str) -> None:
    """One comparison with a hash of full cost either way: a clock must not tell who is here."""
    answer, work = asked(address, b"wrong")

    assert not answer
    assert work == [("verify", len(ALICE.password))]


def test_nobodys_own_password_opens_no_account() -> None:
    """The stand-in hash is for the clock only."""
    assert not asked("nobody123@chat.example.org", b"nobody's")[0]
    assert asked(ALICE.address, b"right")[0]
