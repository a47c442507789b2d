"""
Push latency: from the end of a submission to the notification at the proxy, at steady rates.

The time includes the whole delivery: queue, LMTP, the maildir, Dovecot's status. Recipients rotate
so that none has two messages in transit, and every message is one notification.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import cost, messages
from bench.messages import head
from bench.wire import Submission
from harness import network
from harness.lab import Lab
from harness.process import wait_until
from harness.progress import say
from harness.push_proxy import PushProxy, push_proxy
from harness.relay import Relay
from people.dialogue import Dialogue, insecure

URL = "https://push.test/notify"
PEOPLE = 50
SESSIONS = 10
DEADLINE = 300
ARRIVAL_SECONDS = 30
ACCOUNTS = "chatmail-accounts.service"
# Messages per second, and their number.
FULL = ((1, 20), (10, 150), (50, 600))
QUICK = ((10, 10),)


@dataclass(frozen=True)
class Spec:
    """The work of the sending process."""

    host: str
    people: list[tuple[str, str]]
    source: str
    body: str
    rate: float
    count: int


@dataclass(frozen=True)
class Steady:
    """One rate: the seconds to each notification, and the daemon's CPU time per message."""

    rate: int
    latencies: list[float]
    cpu: float


def measure(lab: Lab, relay: Relay, *, quick: bool) -> list[Steady]:
    """Measure every rate, with devices of new users."""
    people = [relay.credentials() for _ in range(PEOPLE)]
    for person in people:
        _register(relay, person)
    found = []
    with tempfile.TemporaryDirectory() as place, push_proxy(lab) as proxy:
        body = Path(place, "body")
        body.write_bytes(messages.body(3_000))
        for rate, count in QUICK if quick else FULL:
            say(f"· push: {count} messages, {rate} a second")
            source = network.address4(network.CLIENTS[0])
            spec = Spec(relay.address, people, source, str(body), rate, count)
            found.append(_steady(relay, proxy, spec))
    return found


def _steady(relay: Relay, proxy: PushProxy, spec: Spec) -> Steady:
    proxy.told.clear()
    counter = cost.counters(relay.machine, (ACCOUNTS,))[ACCOUNTS.removesuffix(".service")]
    before = _cpu(counter)
    done = subprocess.run(
        [sys.executable, "-m", "bench.push"],
        input=json.dumps(asdict(spec)),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"the load ended early: {done.stderr.strip()[-2000:]}")
    sent: dict[str, list[tuple[float, float]]] = json.loads(done.stdout)
    latencies = []
    for address, times in sent.items():
        last = max(begun for begun, _ in times)
        wait_until(
            lambda: proxy.last(token(address)) >= last,  # noqa: B023 - called at once
            "the last message to somebody is notified",
            timeout=ARRIVAL_SECONDS,
        )
        told = [one.at for one in proxy.told if one.token == token(address)]
        # On a machine that stalls, one notification may stand for two messages, and the sender may
        # be stopped before it has read the clock.
        latencies += [
            max(min(at for at in told if at >= begun) - ended, 0) for begun, ended in times
        ]
    return Steady(int(spec.rate), latencies, (_cpu(counter) - before) / spec.count)


def token(address: str) -> str:
    """Return a token as long as clients' tokens: a key in base64."""
    return f"openpgp:{address.partition('@')[0]}{'x' * 600}=="


def _register(relay: Relay, person: tuple[str, str]) -> None:
    address, password = person
    with Dialogue.connect(relay.address, 993, insecure()) as imap:
        imap.line()
        imap.say(f"l LOGIN {address} {password}").until("l")
        imap.say(f'a SETMETADATA INBOX (/private/devicetoken "{token(address)}")').until("a")


def _cpu(path: str) -> float:
    return int(Path(path).read_text().split()[1]) / 1e6


async def _send(spec: Spec, body: bytes) -> dict[str, list[tuple[float, float]]]:
    sessions: asyncio.Queue[Submission] = asyncio.Queue()
    for person in spec.people[:SESSIONS]:
        sessions.put_nowait(await Submission.open(spec.host, 465, person, spec.source))
    sent: dict[str, list[tuple[float, float]]] = {}
    run = f"push{time.time_ns()}"

    async def one(number: int) -> None:
        session = await sessions.get()
        # Never to the sender, whose own copies are not notified.
        recipient = spec.people[SESSIONS + number % (len(spec.people) - SESSIONS)][0]
        message = head(session.sender, recipient, run, number) + body
        begun = time.monotonic()
        ended = await session.send(recipient, message)
        sent.setdefault(recipient, []).append((begun, ended))
        sessions.put_nowait(session)

    start = time.monotonic()
    tasks = []
    for number in range(spec.count):
        await asyncio.sleep(start + number / spec.rate - time.monotonic())
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    while not sessions.empty():
        await sessions.get_nowait().close()
    return sent


if __name__ == "__main__":
    given = Spec(**json.load(sys.stdin))
    print(json.dumps(asyncio.run(_send(given, Path(given.body).read_bytes()))))
