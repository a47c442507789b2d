"""The notifications in the account book, which survive a reboot."""

import asyncio
from collections.abc import Sequence
from math import inf

from chatmaild.book.outbox import Notification
from chatmaild.book.thread import BookThread


class Backlog:
    """The queue in the book, from the event loop; its coroutines raise BookError."""

    def __init__(self, book: BookThread) -> None:
        """Start without having read the book."""
        self._book = book
        # When the first one is due, or inf without any; so an empty queue needs no query.
        self.next_due: float = 0
        self.changed = asyncio.Event()
        # They are removed together, which costs one disk sync.
        self._finished: set[tuple[str, str]] = set()

    async def put(self, waiting: Sequence[tuple[Notification, int]]) -> None:
        """Write notifications, each due at the UNIX time beside it."""
        self._finished -= {one.key for one, _ in waiting}
        first = min(due for _, due in waiting)
        self.next_due = min(self.next_due, first)
        await self._book.run(self._book.outbox.put, waiting)
        # Again, because `take` may have read the book just before.
        self.next_due = min(self.next_due, first)
        self.changed.set()

    async def take(self, now: int, limit: int) -> list[Notification]:
        """Return notifications that are due; unless finished, they are due again in a minute."""

        def look() -> tuple[list[Notification], int | None]:
            outbox = self._book.outbox
            due = outbox.next_due()
            found = outbox.take(now, limit) if due is not None and due <= now else []
            return found, outbox.next_due() if found else due

        found, due = await self._book.run(look)
        self.next_due = inf if due is None else due
        return [one for one in found if one.key not in self._finished]

    def finish(self, one: Notification) -> None:
        """Mark a notification for `remove_finished`, if it may be in the book."""
        if self.next_due < inf:
            self._finished.add(one.key)

    async def remove_finished(self) -> None:
        """Remove finished notifications."""
        finished, self._finished = self._finished, set()
        if finished:
            await self._book.run(self._book.outbox.remove, finished)

    async def forget_token(self, token: str) -> None:
        """See Outbox.forget_token."""
        await self._book.run(self._book.outbox.forget_token, token)
