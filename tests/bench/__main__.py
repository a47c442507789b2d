"""
`tests/lab bench`: measure a relay and print the tables.

It runs among the clients and boots its own relay, which `tests/lab` removes afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from bench import expiry, far, federation, pipeline, push, report
from bench.figures import summary
from harness.lab import Lab
from harness.progress import say, step
from harness.relay import Relay

DOMAIN = "_bench.test"
ROUND_TRIP = 0.025
DEADLINE = 600


def chat(relay: Relay, times: int, round_trip: float) -> dict[str, list[float]]:
    """Run the benchmark of the announcement in a separate process; return name -> seconds."""
    command = [sys.executable, "-m", "bench.chat", relay.domain, str(times)]
    with tempfile.TemporaryDirectory() as place:
        if not round_trip:
            return _seconds(command)
        with far.away(relay, round_trip, Path(place)) as prefix:
            return _seconds([*prefix, *command])


def _seconds(command: list[str]) -> dict[str, list[float]]:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=True)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def targets(found: pipeline.Pipeline) -> str:
    """Compare the figures with the relay's targets."""
    small = [measured for measured in found.cases if measured.case.size < 10_000]
    ratios = [report.rate_ratio(measured) for measured in small]
    cpu = max(report.filter_cpu(measured) for measured in small)
    memory = sum(found.pss_before.values()) / report.MEGABYTE
    idle = summary(found.row.latencies).median * 1000
    return report.table(
        ["wanted", "measured"],
        [
            ["rate of b at least 0.75 of a, 3 KB", f"{min(ratios):.2f}"],
            ["filter at most 1 ms processor time per message, 3 KB", f"{cpu:.2f} ms"],
            ["our daemons at most 120 MB together at rest", f"{memory:.0f} MB"],
            ["IDLE notification below 30 ms, median, 200 ms apart", f"{idle:.1f} ms"],
        ],
    )


def _chat(_lab: Lab, relay: Relay, *, quick: bool) -> tuple[object, str]:
    series = {}
    for name, round_trip in (("no delay", 0.0), ("25 ms", ROUND_TRIP)):
        say(f"· the benchmark of the announcement, {name}")
        series[name] = chat(relay, 1 if quick else 5, round_trip)
    return series, report.chat(series)


def _pipeline(_lab: Lab, relay: Relay, *, quick: bool) -> tuple[object, str]:
    found = pipeline.measure(relay, quick=quick)
    return asdict(found), f"{report.pipeline(found)}\n\n{targets(found)}"


def _push(lab: Lab, relay: Relay, *, quick: bool) -> tuple[object, str]:
    steady = push.measure(lab, relay, quick=quick)
    return [asdict(one) for one in steady], report.push(steady)


def _expiry(_lab: Lab, relay: Relay, *, quick: bool) -> tuple[object, str]:
    night = expiry.measure(relay, quick=quick)
    return asdict(night), report.expiry(night)


def _federation(lab: Lab, _relay: Relay, *, quick: bool) -> tuple[object, str]:
    between = federation.measure(lab, quick=quick)
    return asdict(between), federation.tables(between)


class Measure(Protocol):
    """Measures one part; returns (figures as data, tables for people)."""

    def __call__(self, lab: Lab, relay: Relay, /, *, quick: bool) -> tuple[object, str]:
        """Measure."""


# Name -> (title, function), in this order.
PARTS: dict[str, tuple[str, Measure]] = {
    "chat": ("two clients that chat", _chat),
    "pipeline": ("messages through the filter", _pipeline),
    "push": ("notifications", _push),
    "expiry": ("deliveries during expiry", _expiry),
    "federation": ("messages between two relays", _federation),
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="tests/lab bench", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="only see that it works; the figures mean nothing"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there")
    parser.add_argument("--only", choices=list(PARTS), help="one part")
    given = parser.parse_args()
    lab = Lab()
    relay = lab.relay(DOMAIN, pipeline.SETTINGS)
    everything: dict[str, object] = {"host": f"{platform.machine()}, {os.cpu_count()} cores"}
    print(f"{everything['host']}, Debian {lab.suite}, one machine for relay and clients\n")
    measured = [given.only] if given.only else list(PARTS)
    for number, name in enumerate(measured, start=1):
        title, measure = PARTS[name]
        with step(f"part {number} of {len(measured)}: {title}"):
            everything[name], tables = measure(lab, relay, quick=given.quick)
        print(f"{tables}\n", flush=True)
    if given.json:
        given.json.write_text(json.dumps(everything, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
