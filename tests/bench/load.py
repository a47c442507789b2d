"""
The load generator: a separate process that reads a specification and prints its measurements.

The specification is JSON on standard input, and the result is JSON on standard output. Clocks start
when every connection is open and logged in.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.messages import head
from bench.wire import Submission, Watch

POLL_SECONDS = 0.002
DEADLINE = 600
Account = tuple[str, str]


@dataclass(frozen=True)
class Spec:
    """The work to do; `accounts` both send and receive, `sources` are local addresses."""

    mode: str  # rate, chains, row, hold
    host: str
    port: int
    accounts: list[Account]
    sources: list[str]
    body: str = ""  # file with the part of each message after its head
    concurrency: int = 1
    messages: int = 0  # total
    gap: float = 0  # row: seconds between two messages
    queue: str = ""  # rate: Postfix' queue directory, as seen from here
    far_host: str = ""  # the recipients' host, if not `host`
    far_accounts: list[Account] = field(default_factory=list)
    far_queue: str = ""
    counters: dict[str, str] = field(
        default_factory=dict
    )  # unit -> its cpu.stat, as seen from here


@dataclass
class Result:
    """The measurements, in seconds."""

    wall: float = 0
    acknowledged: int = 0
    replies: list[float] = field(default_factory=list)  # end of DATA to 250
    latencies: list[float] = field(default_factory=list)  # end of DATA to the IDLE notification
    client_cpu: float = 0
    unit_cpu: dict[str, float] = field(default_factory=dict)


class Load:
    """One run of a specification."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.result = Result()
        self.body = Path(spec.body).read_bytes() if spec.body else b""
        self.run = secrets.token_hex(4)
        self.next = iter(range(spec.messages))

    async def rate(self) -> None:
        """Send as fast as `concurrency` connections allow; ends when Postfix' queue is empty."""

        async def sender(session: Submission) -> None:
            for number in self.next:
                await self._send(session, number, self._recipient(number))

        sessions = await self._sessions()
        await self._timed(lambda: _all(sender(session) for session in sessions))
        await _all(session.close() for session in sessions)

    async def chains(self) -> None:
        """Run pairs that send the next message when the previous one is announced."""
        pairs = self.spec.concurrency

        async def pair(session: Submission, watch: Watch, index: int) -> None:
            for turn in range(self.spec.messages // pairs):
                number = turn * pairs + index
                ended = await self._send(session, number, self._recipient(index))
                self.result.latencies.append(await watch.announced(turn + 1) - ended)

        sessions = await self._sessions()
        watches = [await self._watch(index) for index in range(pairs)]
        work = [pair(s, w, i) for i, (s, w) in enumerate(zip(sessions, watches, strict=True))]
        await self._timed(lambda: _all(work))
        await _all(
            [*(session.close() for session in sessions), *(watch.close() for watch in watches)]
        )

    async def row(self) -> None:
        """Run one pair that sends a message every `gap` seconds, without waiting for the others."""
        [session] = await self._sessions()
        watch = await self._watch(0)

        async def send() -> None:
            start = time.monotonic()
            ended = []
            for number in range(self.spec.messages):
                await asyncio.sleep(start + number * self.spec.gap - time.monotonic())
                ended.append(await self._send(session, number, self._recipient(0)))
            for number, end in enumerate(ended, 1):
                self.result.latencies.append(await watch.announced(number) - end)

        await self._timed(send)
        await _all([session.close(), watch.close()])

    async def hold(self) -> None:
        """Open `concurrency` IDLE connections and keep them until standard input ends."""
        watches = [await self._watch(index) for index in range(self.spec.concurrency)]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await _all(watch.close() for watch in watches)

    async def _timed(self, work: Callable[[], Awaitable[None]]) -> None:
        units, own, start = self._counters(), time.process_time(), time.monotonic()
        await work()
        if self.spec.queue:
            await self._empty_queue()
        self.result.wall = time.monotonic() - start
        self.result.client_cpu = time.process_time() - own
        self.result.unit_cpu = {
            unit: after - units[unit] for unit, after in self._counters().items()
        }

    async def _send(self, session: Submission, number: int, recipient: str) -> float:
        message = head(session.sender, recipient, self.run, number) + self.body
        ended = await session.send(recipient, message)
        self.result.replies.append(time.monotonic() - ended)
        self.result.acknowledged += 1
        return ended

    async def _sessions(self) -> list[Submission]:
        spec = self.spec
        return [
            await Submission.open(spec.host, spec.port, account, self._source(index))
            for index, account in enumerate(spec.accounts[: spec.concurrency])
        ]

    async def _watch(self, index: int) -> Watch:
        account = self._receiver(index)
        host = self.spec.far_host or self.spec.host
        return await Watch.open(host, 993, account, self._source(index))

    def _recipient(self, index: int) -> str:
        return self._receiver(index)[0]

    def _receiver(self, index: int) -> Account:
        receivers = self.spec.far_accounts or self.spec.accounts
        return receivers[(index + 1) % len(receivers)]

    def _source(self, index: int) -> str:
        return self.spec.sources[index % len(self.spec.sources)]

    def _counters(self) -> dict[str, float]:
        return {unit: cpu_seconds(path) for unit, path in self.spec.counters.items()}

    async def _empty_queue(self) -> None:
        # In the order in which a message moves, so that none is missed between two checks.
        queues = [queue for queue in (self.spec.queue, self.spec.far_queue) if queue]
        names = ("maildrop", "incoming", "active")
        places = [f"{queue}/{name}" for queue in queues for name in names]
        while any(name for place in places for name in os.listdir(place)):  # noqa: ASYNC110, PTH208
            await asyncio.sleep(POLL_SECONDS)


def cpu_seconds(path: str) -> float:
    """Return the CPU time of a control group, including ended processes (cgroup-v2, cpu.stat)."""
    first = Path(path).read_text().splitlines()[0].split()
    return int(first[1]) / 1e6


async def _all(work: Iterable[Awaitable[None]]) -> None:
    await asyncio.gather(*work)


def run_load(spec: Spec) -> Result:
    """Run a specification in a separate process; raises ValueError if that fails."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(spec)) + "\n",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"the load ended early: {done.stderr.strip()[-2000:]}")
    return Result(**json.loads(done.stdout))


async def main() -> None:
    """Run the specification on standard input."""
    spec = Spec(**json.loads(sys.stdin.readline()))
    load = Load(spec)
    modes = {"rate": load.rate, "chains": load.chains, "row": load.row, "hold": load.hold}
    await modes[spec.mode]()
    print(json.dumps(asdict(load.result)))


if __name__ == "__main__":
    asyncio.run(main())
