"""Gives the event loop access to the account book: every call runs on one dedicated thread."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from chatmaild.book.accounts import SECONDS_PER_DAY, Account, Book, BookError
from chatmaild.book.cleartext import Cleartext
from chatmaild.book.invites import Invite, InviteRefusal, Invites
from chatmaild.book.outbox import Outbox
from chatmaild.book.tokens import Tokens

log = logging.getLogger(__name__)


def today() -> int:
    """Count the days since 1970-01-01, UTC."""
    return int(time.time()) // SECONDS_PER_DAY


class BookThread:
    """The account book with all of its tables."""

    def __init__(self, book: Book, clock: Callable[[], int] = today) -> None:
        """Take over `book`, which is then used only on the thread; `close` closes it."""
        self.book = book
        self._clock = clock
        self._thread: Executor = ThreadPoolExecutor(1, "book")
        self._logins: set[str] = set()
        self.outbox = Outbox(book)
        self.invites = Invites(book)
        self.tokens = Tokens(book)
        self.cleartext = Cleartext(book)

    async def run[**P, T](self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function on the thread, after all previous calls."""

        def call() -> T:
            return function(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def find(self, address: str) -> Account | None:
        """See Book.find."""
        return await self.run(self.book.find, address)

    async def create(
        self,
        address: str,
        password: str,
        *,
        prepare: Callable[[], None],
        invited_only: bool = False,
        own: bool = False,
    ) -> tuple[Account, bool]:
        """
        See Book.create; if the account does not exist yet, call `prepare` first.

        Raises:
            OSError: raised by `prepare`.

        """

        def create() -> tuple[Account, bool]:
            if self.book.find(address) is None:
                prepare()
            invited_at = int(time.time()) if invited_only else None
            return self.book.create(
                address, password, self._clock(), invited_at=invited_at, own=own
            )

        return await self.run(create)

    async def set_blocked(self, address: str, *, blocked: bool) -> bool:
        """See Book.set_blocked."""
        return await self.run(self.book.set_blocked, address, blocked=blocked)

    async def delete(
        self, address: str, grace_days: int, *, idle_before: int | None = None
    ) -> bool:
        """See Book.delete; logins that are not written yet count too."""
        if idle_before is not None:
            await self.write_logins()
        return await self.run(
            self.book.delete, address, self._clock(), grace_days, idle_before=idle_before
        )

    async def add_invite(self, uses: int, days: int | None, comment: str) -> Invite:
        """See Invites.add."""
        return await self.run(self.invites.add, uses, days, comment, self._clock())

    async def hand_out(self, token: str, address: str) -> InviteRefusal | None:
        """See Invites.hand_out."""
        now = int(time.time())
        return await self.run(self.invites.hand_out, token, address, self._clock(), now)

    async def add(self, address: str, token: str) -> bool:
        """See Tokens.add."""
        return await self.run(self.tokens.add, address, token, self._clock())

    async def list(self, address: str) -> Sequence[str]:
        """See Tokens.of."""
        return await self.run(self.tokens.of, address, self._clock())

    async def remove(self, address: str) -> None:
        """See Tokens.remove."""
        await self.run(self.tokens.remove, address)

    async def devices(self, addresses: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Return (address, token) for each device of these accounts."""

        def look_up() -> list[tuple[str, str]]:
            now = self._clock()
            return [(one, token) for one in addresses for token in self.tokens.of(one, now)]

        return await self.run(look_up)

    async def expire(self) -> None:
        """Delete what has expired; try again next time if that fails."""
        try:
            await self.run(self.tokens.expire, self._clock())
            await self.run(self.book.expire_names, self._clock(), int(time.time()))
        except BookError as error:
            log.error("%s", error)  # noqa: TRY400 - the message is complete

    async def forget_all_tokens(self) -> None:
        """See Tokens.forget_all."""
        await self.run(self.tokens.forget_all)

    def note_login(self, address: str) -> None:
        """Remember a login until `write_logins`."""
        self._logins.add(address)

    async def write_logins(self) -> None:
        """Write the remembered logins; keep them for the next time if that fails."""
        addresses, self._logins = self._logins, set()
        if not addresses:
            return
        try:
            await self.run(self.book.record_logins, addresses, self._clock())
        except BookError as error:
            self._logins |= addresses
            log.error("%s", error)  # noqa: TRY400 - the message is complete

    async def close(self) -> None:
        """Write the remembered logins and close the book."""
        await self.write_logins()
        await self.run(self.book.close)
        self._thread.shutdown()
