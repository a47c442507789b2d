"""
Wakes sleeping phones: each new message triggers one notification to each device of its account.

A notification is sent immediately. Its address is first noted in a file in memory, in case the
daemon is killed (arrival_log). If the proxy has not accepted the notification within half a second,
it is written to the account book and survives a reboot. Most notifications never touch the disk.

A failed notification is tried again after 1, 8, 64, 512 and then every 3600 s. It is given up five
hours after the newest message that it is about. Memory is bounded: beyond a thousand notifications,
the others wait in the account book.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence

from chatmaild.book.accounts import BookError
from chatmaild.book.outbox import LEASE_SECONDS, Notification
from chatmaild.book.thread import BookThread
from chatmaild.push.arrival_log import ArrivalLog
from chatmaild.push.proxy import PushOutcome
from chatmaild.service.counters import Counters

log = logging.getLogger(__name__)

CONNECTIONS = 32
MAX_UNSENT = 1000
MAX_ARRIVALS = 10_000
BATCH = 2 * CONNECTIONS
GIVE_UP_SECONDS = 5 * 3600
SAVE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 3600


type Post = Callable[[str], Awaitable[tuple[PushOutcome, str]]]


def pause(attempts: int) -> int:
    """Return the pause in seconds after this number of failed attempts (from 1)."""
    return int(min(8.0 ** (attempts - 1), MAX_PAUSE_SECONDS))


class Arrivals:
    """
    Recognises which of Dovecot's status updates is a new message from somebody else.

    A status contains INBOX' next UID and the envelope sender, separated by a space
    (`notify_status_value`). If a message went to several recipients in one transaction, Dovecot
    sends its status twice, so the same UID and sender count once. Copies of the user's own messages
    trigger no notification.
    """

    def __init__(self) -> None:
        """Start without any known status."""
        self._seen: OrderedDict[tuple[str, str], str] = OrderedDict()

    def is_news(self, address: str, mark: str) -> bool:
        """Return whether to notify the account about this status."""
        uid, _, sender = mark.partition(" ")
        if sender.lower() == address.lower():
            return False
        key = address, sender
        if self._seen.get(key) == uid:
            return False
        self._seen[key] = uid
        self._seen.move_to_end(key)
        if len(self._seen) > MAX_ARRIVALS:
            self._seen.popitem(last=False)
        return True


class Notifier:
    """Sends notifications; `run` must run as long as the daemon."""

    def __init__(
        self,
        post: Post,
        book: BookThread,
        arrivals: ArrivalLog,
        counters: Counters,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Send the tokens in `book` to the proxy with `post`."""
        self._post = post
        self._book = book
        self._outbox = book.outbox
        self._counters = counters
        self._clock = clock
        self._arrivals = Arrivals()
        self._log = arrivals
        self._left = arrivals.left()
        self._arrived: deque[str] = deque()
        self._looked_up: Sequence[str] = ()
        self._unsent: OrderedDict[tuple[str, str], Notification] = OrderedDict()
        self._flying: dict[asyncio.Task[None], Notification] = {}
        self._news = asyncio.Event()
        # Unsent notifications that are also in the book.
        self._kept: dict[tuple[str, str], Notification] = {}
        # Keys to remove from the book; removing them together costs one disk sync for all.
        self._finished: set[tuple[str, str]] = set()
        # Whether the book may contain notifications, which avoids most queries; and the number that
        # is being written.
        self._stored = True
        self._putting = 0
        self._stored_news = asyncio.Event()
        self._failing = False
        self._stopping = False

    def on_new_mail(self, address: str, mark: str) -> None:
        """Wake the devices of an account if a mark of Dovecot's means a new message."""
        self._counters.add("new_mail")
        if self._arrivals.is_news(address, mark):
            self.notify(address)

    def notify(self, address: str) -> None:
        """Wake the devices of an account; returns immediately."""
        if len(self._arrived) >= MAX_ARRIVALS:
            self._counters.add("push", "dropped")
            return
        self._log.note(address)
        self._arrived.append(address)
        self._news.set()

    async def run(self) -> None:
        """Send notifications until cancelled, then write the remaining ones to the book."""
        for address in self._left:
            self.notify(address)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look_up_forever())
                group.create_task(self._retry_forever())
                group.create_task(self._save_forever())
        finally:
            await self._save_all()

    async def _look_up_forever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._arrived:
                size = min(len(self._arrived), BATCH)
                addresses = [self._arrived.popleft() for _ in range(size)]
                self._looked_up = addresses
                try:
                    devices = await self._book.devices(addresses)
                    await self._add(devices)
                except BookError as error:
                    self._counters.add("push", "dropped", count=size)
                    log.error("%s", error)  # noqa: TRY400 - the message is complete
                self._looked_up = ()

    async def _add(self, devices: Sequence[tuple[str, str]]) -> None:
        now = int(self._clock())
        surplus = []
        for address, token in devices:
            one = Notification(address, token, now)
            # A notification that is not sent yet will wake the device for this message too.
            if one.key in self._unsent:
                self._counters.add("push", "merged")
            elif len(self._unsent) < MAX_UNSENT:
                self._unsent[one.key] = one
            else:
                surplus.append((one, now))
        self._send()
        if surplus:
            await self._put(surplus)

    def _send(self) -> None:
        while self._unsent and len(self._flying) < CONNECTIONS and not self._stopping:
            _, one = self._unsent.popitem(last=False)
            task = asyncio.create_task(self._deliver(one))
            self._flying[task] = one
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.pop(task, None)
        self._send()
        if not self._unsent:
            self._stored_news.set()

    async def _deliver(self, one: Notification) -> None:
        outcome, fault = await self._post(one.token)
        self._tell(outcome, fault)
        try:
            if outcome is PushOutcome.DONE:
                self._counters.add("push", "sent")
                self._over(one)
            elif outcome is PushOutcome.TOKEN_DEAD:
                self._counters.add("push", "token-dead")
                await self._book.run(self._outbox.forget_token, one.token)
            else:
                await self._failed(one)
        except BookError as error:
            log.error("%s", error)  # noqa: TRY400 - the message is complete

    async def _failed(self, one: Notification) -> None:
        now = int(self._clock())
        attempts = one.attempts + 1
        due = now + pause(attempts)
        if due - one.since > GIVE_UP_SECONDS:
            self._counters.add("push", "given-up")
            self._over(one)
        else:
            self._counters.add("push", "put-off")
            again = Notification(one.address, one.token, one.since, attempts)
            await self._put([(again, due)])

    def _over(self, one: Notification) -> None:
        if self._stored or self._putting:
            self._finished.add(one.key)

    def _tell(self, outcome: PushOutcome, fault: str) -> None:
        """Log when the proxy starts to fail and when it works again, but not every failure."""
        failing = outcome is PushOutcome.FAILED
        if failing and not self._failing:
            log.warning("push: the proxy does not accept notifications (%s); will retry", fault)
        elif self._failing and not failing:
            log.info("push: the proxy accepts notifications again")
        self._failing = failing

    async def _put(self, waiting: Sequence[tuple[Notification, int]]) -> None:
        self._finished -= {one.key for one, _ in waiting}
        self._putting += 1
        try:
            await self._book.run(self._outbox.put, waiting)
        finally:
            self._putting -= 1
        self._stored = True
        self._stored_news.set()

    async def _retry_forever(self) -> None:
        while True:
            self._stored_news.clear()
            try:
                delay = await self._retry()
            except BookError as error:
                log.error("%s", error)  # noqa: TRY400 - the message is complete
                delay = 5.0
            try:
                async with asyncio.timeout(delay):
                    await self._stored_news.wait()
            except TimeoutError:
                pass

    async def _retry(self) -> float | None:
        """Send what is due; return the seconds until the next is due, or None if none waits."""
        if not self._stored or len(self._unsent) >= BATCH:
            return None
        due = await self._book.run(self._outbox.next_due)
        if due is None:
            # Unless another one was written after the query.
            self._stored = bool(self._putting) or self._stored_news.is_set()
            return None
        now = self._clock()
        if due > now:
            return due - now
        for one in await self._book.run(self._outbox.take, int(now), BATCH):
            if one.key not in self._finished | self._under_way() and one.key not in self._unsent:
                self._unsent[one.key] = self._kept[one.key] = one
        self._send()
        return 0.0 if len(self._unsent) < BATCH else None

    def _under_way(self) -> set[tuple[str, str]]:
        return {one.key for one in self._flying.values()}

    async def _forget_finished(self) -> None:
        finished, self._finished = self._finished, set()
        if finished:
            await self._book.run(self._outbox.remove, finished)

    async def _save_forever(self) -> None:
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            here = {one.key: one for one in (*self._flying.values(), *self._unsent.values())}
            self._kept = {key: one for key, one in self._kept.items() if here.get(key) is one}
            limit = self._clock() - SAVE_SECONDS
            late = {
                key: one
                for key, one in here.items()
                if key not in self._kept and one.since <= limit
            }
            try:
                await self._forget_finished()
                if late:
                    lease = int(self._clock()) + LEASE_SECONDS
                    await self._put([(one, lease) for one in late.values()])
                    self._kept |= late
            except BookError as error:
                log.error("%s", error)  # noqa: TRY400 - the message is complete
            self._log.keep(self._only_here())

    def _only_here(self) -> Iterator[str]:
        """Yield the addresses whose notifications are neither sent nor in the book."""
        yield from self._arrived
        yield from self._looked_up
        for one in (*self._flying.values(), *self._unsent.values()):
            if self._kept.get(one.key) is not one:
                yield one.address

    async def _save_all(self) -> None:
        self._stopping = True
        now = int(self._clock())
        flying = dict(self._flying)
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)
        left = [*flying.values(), *self._unsent.values()]
        try:
            await self._forget_finished()
            left += [
                Notification(address, token, now)
                for address, token in await self._book.devices(list(self._arrived))
            ]
            await self._book.run(self._outbox.put, [(one, now) for one in left])
            self._log.keep(())
        except BookError as error:
            log.error("%s", error)  # noqa: TRY400 - the message is complete
        self._log.close()
