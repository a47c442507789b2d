"""
Blocks, unblocks and deletes accounts.

The order of the steps matters. First the book, so that no new login succeeds. Then the flags that
end SMTP sessions. Then Dovecot, which flushes its cache and closes connections. Last the mailbox.
The last steps are repeated after a pause, for logins and deliveries that were in progress between
two steps.
"""

import asyncio
import logging
from collections.abc import Coroutine

from chatmaild.book.accounts import BookError
from chatmaild.book.address_flags import AddressFlags
from chatmaild.book.thread import BookThread
from chatmaild.config import Config
from chatmaild.dovecot.doveadm import Dovecot, DovecotError
from chatmaild.dovecot.mailboxes import Mailboxes
from chatmaild.service.counters import Counters

log = logging.getLogger(__name__)

# Longer than a login or a delivery takes from the account lookup to the open connection.
AGAIN_SECONDS = 3.0


class AccountLifecycle:
    """Changes the set of accounts; each method raises BookError as those of Book do."""

    def __init__(
        self,
        book: BookThread,
        dovecot: Dovecot,
        mailboxes: Mailboxes,
        config: Config,
        counters: Counters,
    ) -> None:
        """Wire up the book, Dovecot and the mailboxes."""
        self._book = book
        self._dovecot = dovecot
        self._mailboxes = mailboxes
        self._revoked = AddressFlags(config.paths.revoked)
        self._exceptions = AddressFlags(config.paths.exceptions)
        self._cleartext = config.incoming.cleartext
        self._grace_days = config.accounts.grace_days
        self._counters = counters
        self._tasks: set[asyncio.Task[None]] = set()

    def prepare(self, address: str) -> None:
        """
        Make room for a new account; call this on the book's thread; raises OSError.

        A mailbox without an account belongs to somebody else. It is older than a restored book, or
        comes from a delivery that was in progress when its account was deleted.
        """
        self._mailboxes.discard(address)
        self._revoked.remove(address)

    async def tell_exceptions(self) -> None:
        """
        Write the flags of accounts with an exception from `incoming.cleartext`, for the filter.

        Raises:
            BookError: the book or the directory of the flags cannot be used.

        """
        addresses = await self._book.run(self._book.cleartext.where, allowed=not self._cleartext)
        try:
            self._exceptions.replace(addresses)
        except OSError as error:
            raise BookError(
                f"{self._exceptions.directory}: cannot be written: {error.strerror}"
            ) from None

    async def choose_cleartext(self, address: str, *, allowed: bool | None) -> bool:
        """Set the exception of one account, see Cleartext.choose; raises OSError."""
        if not await self._book.run(self._book.cleartext.choose, address, allowed=allowed):
            return False
        if allowed is None or allowed is self._cleartext:
            self._exceptions.remove(address)
        else:
            self._exceptions.add(address)
        return True

    async def block(self, address: str) -> bool:
        """
        Block an account and close its connections; return False if there is none.

        Raises:
            DovecotError: the account is blocked, but its connections may still be open.

        """
        if not await self._book.set_blocked(address, blocked=True):
            return False
        self._counters.add("blocks")
        await self._shut_out(address)
        self._later(self._shut_out_again(address))
        return True

    async def unblock(self, address: str) -> bool:
        """Unblock an account; return False if there is none."""
        if not await self._book.set_blocked(address, blocked=False):
            return False
        self._revoked.remove(address)
        return True

    async def delete(self, address: str, *, idle_before: int | None = None) -> bool:
        """
        Delete an account with all of its data; return False if there is none.

        With `idle_before`, a day since 1970, keep an account that was used since, and return False.

        Raises:
            DovecotError: the account is deleted, but its connections may still be open.

        """
        if not await self._book.delete(address, self._grace_days, idle_before=idle_before):
            return False
        self._counters.add("accounts_deleted", "asked" if idle_before is None else "idle")
        try:
            await self._shut_out(address)
        finally:
            await self._discard(address)
            self._later(self._sweep(address))
        return True

    async def _shut_out(self, address: str) -> None:
        try:
            self._revoked.add(address)
        except OSError as error:
            directory = self._revoked.directory
            log.error("%s: cannot be written: %s", directory, error.strerror)  # noqa: TRY400
        await self._dovecot.forget(address)

    async def _shut_out_again(self, address: str) -> None:
        account = await self._book.find(address)
        if account is None or account.blocked:
            await self._shut_out(address)

    async def _sweep(self, address: str) -> None:
        await self._shut_out_again(address)
        await self._discard(address)
        await asyncio.to_thread(self._mailboxes.empty_trash)
        await self._book.run(self._book.book.fold)

    async def _discard(self, address: str) -> None:
        # Runs on the book's thread, which creates accounts, so it never discards a new mailbox.
        def discard() -> None:
            if self._book.book.find(address) is None:
                self._exceptions.remove(address)
                self._mailboxes.discard(address)

        try:
            await self._book.run(discard)
        except OSError as error:
            log.error("a deleted account's mailbox remains: %s", error.strerror)  # noqa: TRY400

    def _later(self, work: Coroutine[None, None, None]) -> None:
        async def run() -> None:
            try:
                await asyncio.sleep(AGAIN_SECONDS)
                await work
            except (DovecotError, BookError) as error:
                log.warning("%s", error)
            finally:
                work.close()

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel the postponed steps; the next start empties the trash."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
