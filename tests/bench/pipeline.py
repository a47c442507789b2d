"""
The mail pipeline with and without the filter: messages per second, latency, cost.

Without the filter means the same Postfix and Dovecot, with an additional submission service that
has no milter. Rounds of both alternate, because the machine's speed drifts and only neighbouring
rounds are comparable.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import cost, messages
from bench.load import Result, Spec, run_load
from harness import network
from harness.machine import Machine
from harness.process import wait_until
from harness.progress import say
from harness.relay import Relay

BARE_PORT = 2465
SHIPPED_PORT = 465
# Postfix' own listeners, to which nginx forwards.
BARE_SERVICE, SHIPPED_SERVICE = "127.0.0.1:22465", "127.0.0.1:20465"
VARIANTS = {"bare": BARE_PORT, "shipped": SHIPPED_PORT}
ACCOUNTS = 50
UNITS = (*cost.OUR_DAEMONS, "dovecot.service", "postfix.service", "systemd-journald.service")
# Processes that Dovecot keeps ready (process_min_avail 4), and one that is being replaced.
SPARE_IMAP = 5
# Limits that a load needs; all other settings are as shipped.
SETTINGS: dict[str, Any] = {
    "sending": {"perMinute": 100000, "burst": 100000},
    "connections": {"perAddress": 1000},
    "admission": {"maxLoad": 0},
    "push": {"proxy": "https://push.test/notify"},
}


@dataclass(frozen=True)
class Case:
    """Messages of a size over this many connections; `rate` and `chains` are the totals."""

    size: int
    concurrency: int
    rate: int
    chains: int

    @property
    def name(self) -> str:
        """Its name in tables."""
        return f"{'1 MB' if self.size >= 1_000_000 else '3 KB'} x{self.concurrency}"


FULL = [
    Case(3_000, 1, 200, 50),
    Case(3_000, 10, 600, 200),
    Case(3_000, 50, 1000, 500),
    Case(1_000_000, 1, 20, 10),
    Case(1_000_000, 10, 40, 30),
    Case(1_000_000, 50, 50, 50),
]
QUICK = [Case(3_000, 2, 6, 4), Case(1_000_000, 1, 2, 1)]


@dataclass
class Measured:
    """One case: the results of every round, per variant."""

    case: Case
    rates: dict[str, list[Result]] = field(default_factory=lambda: {name: [] for name in VARIANTS})
    chains: dict[str, list[Result]] = field(default_factory=lambda: {name: [] for name in VARIANTS})


@dataclass
class Pipeline:
    """All measurements; memory in bytes."""

    cases: list[Measured]
    row: Result
    pss_before: dict[str, int]
    pss_after: dict[str, int]
    idle_connections: int
    idle_bytes: float


class Bench:
    """A relay with a load generator."""

    def __init__(self, relay: Relay, place: Path) -> None:
        self.relay = relay
        self.place = place
        self.accounts: list[tuple[str, str]] = []
        self.bodies: dict[int, str] = {}

    @property
    def machine(self) -> Machine:
        """The relay's machine."""
        return self.relay.machine

    def prepare(self, cases: list[Case]) -> None:
        """Open the port without a filter, create the accounts, and encrypt one body per size."""
        add_bare_submission(self.machine)
        self.accounts = [self.relay.credentials() for _ in range(ACCOUNTS)]
        for size in {case.size for case in cases} | {3_000}:
            path = self.place / f"body-{size}"
            path.write_bytes(messages.body(size))
            self.bodies[size] = str(path)
        # The first login creates them, in IMAP as in SMTP.
        with self.holding(ACCOUNTS):
            pass
        self._empty_mailboxes()

    def spec(self, mode: str, port: int = SHIPPED_PORT, **more: Any) -> Spec:
        """Return a specification with all common values."""
        return Spec(
            mode=mode,
            host=self.relay.address,
            port=port,
            accounts=self.accounts,
            sources=[network.address4(number) for number in network.CLIENTS[:-1]],
            counters=cost.counters(self.machine, UNITS),
            **more,
        )

    def run(self, spec: Spec) -> Result:
        """Run a load and empty the mailboxes; raises ValueError unless all mail was delivered."""
        result = run_load(spec)
        delivered = self._empty_mailboxes()
        if not result.acknowledged == delivered == spec.messages:
            raise ValueError(
                f"of {spec.messages} messages {result.acknowledged} were acknowledged "
                f"and {delivered} delivered"
            )
        return result

    def _empty_mailboxes(self) -> int:
        """Delete all mail; return the number of messages."""
        boxes = self.relay.value.daemons["paths"]["mailboxes"]
        script = 'find "$1" -path "*/Maildir/new/*" -o -path "*/Maildir/cur/*" | wc -l'
        count = int(self.machine.run(["sh", "-c", script, "sh", boxes]).out)
        self.machine.run(["doveadm", "expunge", "-A", "mailbox", "INBOX", "all"], timeout=120)
        return count

    def rounds(self, case: Case, rounds: int) -> Measured:
        """Measure one case, both variants in turn, in alternating order."""
        measured = Measured(case)
        names = list(VARIANTS)
        common = {"body": self.bodies[case.size], "concurrency": case.concurrency}
        queue = cost.from_here(self.machine, "/var/spool/postfix")
        for turn in range(rounds):
            for name in names if turn % 2 == 0 else reversed(names):
                load = self.spec("rate", VARIANTS[name], messages=case.rate, **common)
                measured.rates[name].append(self.run(replace(load, queue=queue)))
                load = self.spec("chains", VARIANTS[name], messages=case.chains, **common)
                measured.chains[name].append(self.run(load))
        return measured

    def row(self, count: int, gap: float) -> Result:
        """Measure notifications in a series of messages `gap` seconds apart."""
        body = self.bodies[3_000]
        return self.run(self.spec("row", messages=count, gap=gap, body=body))

    @contextmanager
    def holding(self, connections: int) -> Iterator[None]:
        """Keep this many IDLE connections open."""
        spec = self.spec("hold", concurrency=connections)
        command = [sys.executable, "-m", "bench.load"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as load:
            if load.stdin is None or load.stdout is None:
                raise ValueError("no pipes")
            load.stdin.write(json.dumps(asdict(spec)) + "\n")
            load.stdin.flush()
            if load.stdout.readline() != "ready\n":
                raise ValueError("the idle connections could not be opened")
            yield
            load.stdin.close()
            load.wait(timeout=60)

    def idle_memory(self, connections: int) -> float:
        """
        Return the bytes of Dovecot that one more hibernated IDLE connection takes.

        Processes named imap are excluded, because they serve awake clients, or wait for work.
        """

        def asleep() -> dict[str, list[int]] | None:
            held = cost.memory(self.machine, "dovecot.service")
            return held if len(held.pop("imap", [])) <= SPARE_IMAP else None

        before = wait_until(asleep, "all of Dovecot is at rest", timeout=60, step=0.5)
        with self.holding(connections):
            what = f"{connections} idle connections hibernate"
            during = wait_until(asleep, what, timeout=60, step=0.5)
        return (sum(map(sum, during.values())) - sum(map(sum, before.values()))) / connections

    def measure(self, cases: list[Case], rounds: int, row: int, idle: int) -> Pipeline:
        """Measure everything."""
        self.prepare(cases)
        at_rest = {unit: cost.pss(self.machine, unit) for unit in cost.OUR_DAEMONS}
        say(f"· idle connections: {idle}")
        idle_bytes = self.idle_memory(idle)
        say(f"· a row of {row} messages, 200 ms apart")
        in_row = self.row(row, 0.2)
        measured = []
        for case in cases:
            say(f"· {case.name}, {rounds} rounds with and without the filter")
            measured.append(self.rounds(case, rounds))
        after = {unit: cost.pss(self.machine, unit) for unit in cost.OUR_DAEMONS}
        return Pipeline(measured, in_row, at_rest, after, idle, idle_bytes)


def add_bare_submission(machine: Machine) -> None:
    """Add a submission service behind nginx that differs only in having no milter."""
    service = machine.run(["postconf", "-M", f"{SHIPPED_SERVICE}/inet"]).out.strip()
    bare = f"{BARE_SERVICE} {service.partition(' ')[2].strip()}"
    machine.run(["postconf", "-Me", f"{BARE_SERVICE}/inet={bare}"])
    machine.run(["postconf", "-Pe", f"{BARE_SERVICE}/inet/smtpd_milters="])
    machine.run(["postfix", "reload"])
    server = f"server {{ listen {BARE_PORT}; proxy_pass {BARE_SERVICE}; }}"
    machine.run(["sed", "--in-place", f"s/^stream {{/&\\n{server}/", "/etc/nginx/nginx.conf"])
    machine.run(["systemctl", "reload", "nginx.service"])
    machine.wait_for_port(BARE_PORT)


def measure(relay: Relay, *, quick: bool) -> Pipeline:
    """Measure a relay that was booted with SETTINGS."""
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(relay, Path(place))
        if quick:
            return bench.measure(QUICK, rounds=1, row=5, idle=5)
        return bench.measure(FULL, rounds=3, row=100, idle=200)
