"""
Wakes sleeping phones: each new message triggers one notification to each device of its account.

    arrived    addresses with a new message, also noted in a file in memory (arrival_log)
    waiting    notifications for their devices, which wait for a free connection
    sending    notifications on their way to the push proxy
    backlog    in the account book: what failed, what takes longer than half a second, and what
               exceeds a thousand

The arrival log survives a kill, the book also a reboot. Most notifications never touch the disk. A
failed one is tried again after 1, 8, 64, 512 and then every 3600 s, and given up five hours after
the newest message for it.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from chatmaild.book.accounts import BookError
from chatmaild.book.outbox import LEASE_SECONDS, Notification
from chatmaild.book.thread import BookThread
from chatmaild.push.arrival_log import ArrivalLog
from chatmaild.push.arrivals import Arrivals
from chatmaild.push.backlog import Backlog
from chatmaild.push.proxy import PushOutcome
from chatmaild.service.counters import Counters

log = logging.getLogger(__name__)

CONNECTIONS = 32
MAX_WAITING = 1000
MAX_ARRIVED = 10_000
BATCH = 2 * CONNECTIONS
GIVE_UP_SECONDS = 5 * 3600
SAVE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 3600
AFTER_FAULT_SECONDS = 5


type Post = Callable[[str], Awaitable[tuple[PushOutcome, str]]]


def pause(attempts: int) -> int:
    """Return the pause in seconds after this number of failed attempts (from 1)."""
    return int(min(8.0 ** (attempts - 1), MAX_PAUSE_SECONDS))


@dataclass(slots=True)
class _Pending:
    """A notification in memory, and whether it is in the book too."""

    one: Notification
    stored: bool = False


class Notifier:
    """Sends notifications; `run` must run as long as the daemon."""

    def __init__(
        self,
        post: Post,
        book: BookThread,
        arrival_log: ArrivalLog,
        counters: Counters,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Send the tokens in `book` to the proxy with `post`."""
        self._post = post
        self._book = book
        self._arrival_log = arrival_log
        self._counters = counters
        self._clock = clock
        self._arrivals = Arrivals()
        self._arrived = deque(arrival_log.left())
        self._looking_up: Sequence[str] = ()
        self._news = asyncio.Event()
        self._news.set()
        self._waiting: OrderedDict[tuple[str, str], _Pending] = OrderedDict()
        self._sending: dict[asyncio.Task[None], _Pending] = {}
        self._backlog = Backlog(book)
        self._failing = False

    def on_new_mail(self, address: str, mark: str) -> None:
        """Wake the devices of an account if Dovecot's status `mark` means a new message."""
        self._counters.add("new_mail")
        if self._arrivals.is_news(address, mark):
            self.notify(address)

    def notify(self, address: str) -> None:
        """Wake the devices of an account; returns immediately."""
        if len(self._arrived) >= MAX_ARRIVED:
            self._counters.add("push", "dropped")
            return
        self._arrival_log.note(address)
        self._arrived.append(address)
        self._news.set()

    async def run(self) -> None:
        """Send notifications until cancelled, then write the remaining ones to the book."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look_up_forever())
                group.create_task(self._take_from_backlog_forever())
                group.create_task(self._save_forever())
        finally:
            await self._save_all()

    async def _look_up_forever(self) -> None:
        """Look up the devices of accounts with new mail."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._arrived:
                size = min(len(self._arrived), BATCH)
                self._looking_up = [self._arrived.popleft() for _ in range(size)]
                try:
                    await self._add(await self._book.devices(self._looking_up))
                except BookError as error:
                    self._counters.add("push", "dropped", count=size)
                    log.error("%s", error)  # noqa: TRY400 - the message is complete
                self._looking_up = ()

    async def _add(self, devices: Sequence[tuple[str, str]]) -> None:
        now = int(self._clock())
        surplus = []
        for address, token in devices:
            one = Notification(address, token, now)
            # A notification that is not sent yet will wake the device for this message too.
            if one.key in self._waiting:
                self._counters.add("push", "merged")
            elif len(self._waiting) < MAX_WAITING:
                self._waiting[one.key] = _Pending(one)
            else:
                surplus.append((one, now))
        self._send()
        if surplus:
            await self._backlog.put(surplus)

    def _send(self) -> None:
        """Send waiting notifications, as far as connections are free."""
        while self._waiting and len(self._sending) < CONNECTIONS:
            _, pending = self._waiting.popitem(last=False)
            task = asyncio.create_task(self._deliver(pending.one))
            self._sending[task] = pending
            task.add_done_callback(self._delivered)

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._sending.pop(task, None)
        self._send()
        if not self._waiting:
            self._backlog.changed.set()

    async def _deliver(self, one: Notification) -> None:
        outcome, fault = await self._post(one.token)
        self._log_change(outcome, fault)
        try:
            if outcome is PushOutcome.DONE:
                self._counters.add("push", "sent")
                self._finish(one)
            elif outcome is PushOutcome.TOKEN_DEAD:
                self._counters.add("push", "token-dead")
                await self._backlog.forget_token(one.token)
            else:
                await self._put_off(one)
        except BookError as error:
            log.error("%s", error)  # noqa: TRY400 - the message is complete

    async def _put_off(self, one: Notification) -> None:
        attempts = one.attempts + 1
        due = int(self._clock()) + pause(attempts)
        if due - one.since > GIVE_UP_SECONDS:
            self._counters.add("push", "given-up")
            self._finish(one)
        else:
            self._counters.add("push", "put-off")
            again = Notification(one.address, one.token, one.since, attempts)
            await self._backlog.put([(again, due)])

    def _finish(self, one: Notification) -> None:
        # The book has one row per device. If another notification waits, the row is for that one.
        if one.key not in self._waiting:
            self._backlog.finish(one)

    def _log_change(self, outcome: PushOutcome, fault: str) -> None:
        """Log when the proxy starts to fail and when it works again, but not every failure."""
        failing = outcome is PushOutcome.FAILED
        if failing and not self._failing:
            log.warning("push: the proxy does not accept notifications (%s); will retry", fault)
        elif self._failing and not failing:
            log.info("push: the proxy accepts notifications again")
        self._failing = failing

    async def _take_from_backlog_forever(self) -> None:
        """Send notifications that are due again, as far as there is space in memory."""
        while True:
            self._backlog.changed.clear()
            delay: float | None = AFTER_FAULT_SECONDS
            try:
                delay = await self._take_from_backlog()
            except BookError as error:
                log.error("%s", error)  # noqa: TRY400 - the message is complete
            try:
                async with asyncio.timeout(delay):
                    await self._backlog.changed.wait()
            except TimeoutError:
                pass

    async def _take_from_backlog(self) -> float | None:
        """Take those that are due; return the seconds until the next, or None without any."""
        now = self._clock()
        if self._backlog.next_due <= now and len(self._waiting) < BATCH:
            under_way = {pending.one.key for pending in self._sending.values()}
            for one in await self._backlog.take(int(now), BATCH):
                if one.key not in under_way and one.key not in self._waiting:
                    self._waiting[one.key] = _Pending(one, stored=True)
            self._send()
        if self._backlog.next_due == inf or len(self._waiting) >= BATCH:
            return None
        return max(0.0, self._backlog.next_due - now)

    async def _save_forever(self) -> None:
        """Write slow notifications to the book, and shorten the arrival log."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            now = self._clock()
            late = [one for one in self._only_here() if one.one.since <= now - SAVE_SECONDS]
            try:
                await self._backlog.remove_finished()
                if late:
                    due = int(now) + LEASE_SECONDS
                    await self._backlog.put([(pending.one, due) for pending in late])
                    for pending in late:
                        pending.stored = True
            except BookError as error:
                log.error("%s", error)  # noqa: TRY400 - the message is complete
            here = (pending.one.address for pending in self._only_here())
            self._arrival_log.keep([*self._arrived, *self._looking_up, *here])

    def _only_here(self) -> Iterator[_Pending]:
        """Yield the notifications that are neither sent nor in the book."""
        for pending in (*self._sending.values(), *self._waiting.values()):
            if not pending.stored:
                yield pending

    async def _save_all(self) -> None:
        """Write everything to the book, because this process ends."""
        now = int(self._clock())
        left = [pending.one for pending in (*self._sending.values(), *self._waiting.values())]
        self._waiting.clear()
        tasks = list(self._sending)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._backlog.remove_finished()
            arrived = [*self._looking_up, *self._arrived]
            for address, token in await self._book.devices(arrived):
                left.append(Notification(address, token, now))
            if left:
                await self._backlog.put([(one, now) for one in left])
            self._arrival_log.keep(())
        except BookError as error:
            log.error("%s", error)  # noqa: TRY400 - the message is complete
        self._arrival_log.close()
