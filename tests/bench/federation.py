"""
Two relays: latency to the IDLE notification on the other one, and messages per second.

Both run on this machine, with a resolver and TLS between them as on the Internet. Rounds within one
relay and across both alternate.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import cost, messages, report
from bench.figures import summary
from bench.load import Result, Spec, run_load
from bench.pipeline import SETTINGS, SHIPPED_PORT
from harness import network
from harness.lab import Lab
from harness.progress import say
from harness.relay import Relay

NEAR, FAR = "near-bench.test", "far-bench.test"
ACCOUNTS = 20
SPOOL = "/var/spool/postfix"


@dataclass
class Federation:
    """The results of every round: "local" within the first relay, "across" to the second."""

    single: dict[str, list[Result]] = field(default_factory=lambda: {"local": [], "across": []})
    rates: dict[str, list[Result]] = field(default_factory=lambda: {"local": [], "across": []})


def measure(lab: Lab, *, quick: bool) -> Federation:
    """Boot two relays and measure."""
    near, far = lab.relay(NEAR, SETTINGS), lab.relay(FAR, SETTINGS)
    accounts = {one.domain: [one.credentials() for _ in range(ACCOUNTS)] for one in (near, far)}
    for one in (near, far):
        let_resolver_remember(one)
    found = Federation()
    with tempfile.TemporaryDirectory() as place:
        body = Path(place) / "body"
        body.write_bytes(messages.body(3_000))
        for one in (near, far):
            # The first login creates them.
            run_load(_spec(one, accounts[one.domain], "chains", str(body), ACCOUNTS, ACCOUNTS))
        for _ in range(1 if quick else 3):
            for name in found.single:
                say(f"· two relays, {name}")
                more = _far(far, accounts[FAR]) if name == "across" else {}
                own = accounts[NEAR]
                load = _spec(near, own, "chains", str(body), 1, 3 if quick else 50, **more)
                found.single[name].append(run_load(load))
                load = _spec(near, own, "rate", str(body), 10, 10 if quick else 400, **more)
                found.rates[name].append(run_load(load))
    return found


def let_resolver_remember(relay: Relay) -> None:
    """Enable the resolver's cache, which the lab disables."""
    text = str(relay.value.files["/etc/unbound/unbound.conf"].text)
    kept = [line for line in text.splitlines() if not line.strip().startswith("cache-max-")]
    relay.machine.write("/etc/unbound/unbound.conf", "\n".join(kept) + "\n")
    relay.machine.run(["systemctl", "restart", "unbound"])


def _far(far: Relay, accounts: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "far_host": far.address,
        "far_accounts": accounts,
        "far_queue": cost.from_here(far.machine, SPOOL),
    }


def _spec(
    relay: Relay,
    accounts: list[tuple[str, str]],
    mode: str,
    body: str,
    concurrency: int,
    count: int,
    **more: Any,
) -> Spec:
    return Spec(
        mode=mode,
        host=relay.address,
        port=SHIPPED_PORT,
        accounts=accounts,
        sources=[network.address4(number) for number in network.CLIENTS[:-1]],
        body=body,
        concurrency=concurrency,
        messages=count,
        queue=cost.from_here(relay.machine, SPOOL) if mode == "rate" else "",
        **more,
    )


def tables(found: Federation) -> str:
    """Format the figures as tables."""
    rows = []
    medians = {}
    for name in found.single:
        latency = summary([one for result in found.single[name] for one in result.latencies])
        rate = summary([result.acknowledged / result.wall for result in found.rates[name]])
        medians[name] = latency.median
        rows.append(
            [
                name,
                f"{latency.median * 1000:.1f}",
                f"{latency.p95 * 1000:.1f}",
                f"{rate.median:.0f}",
            ]
        )
    head = ["two relays, 3 KB", "lat ms", "95%", "messages/s x10"]
    ratio = medians["across"] / medians["local"]
    return (
        f"{report.table(head, rows)}\n\n"
        f"across / local, median of latency: {ratio:.1f} (wanted: at most 3)"
    )
