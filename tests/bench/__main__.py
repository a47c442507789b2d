"""
`tests/lab bench`: measure a relay and print the tables.

It runs among the clients, boots a relay of its own, and leaves it to `tests/lab` to take it down.
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

from bench import expiry, far, federation, pipeline, push, report
from bench.figures import summary
from harness.lab import Lab
from harness.progress import say
from harness.relay import Relay

DOMAIN = "_bench.test"
ROUND_TRIP = 0.025
DEADLINE = 600
PARTS = ["chat", "pipeline", "push", "expiry", "federation"]


def chat(relay: Relay, times: int, round_trip: float) -> dict[str, list[float]]:
    """Run the benchmark of the announcement in a process of its own; name -> seconds."""
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
    """Compare with what the relay wants to be."""
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


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="tests/lab bench", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="only see that it works; the figures mean nothing"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there")
    parser.add_argument("--only", choices=PARTS, help="a part")
    given = parser.parse_args()
    lab = Lab()
    relay = lab.relay(DOMAIN, pipeline.SETTINGS)
    everything: dict[str, object] = {"host": f"{platform.machine()}, {os.cpu_count()} cores"}
    print(f"{everything['host']}, Debian {lab.suite}, one machine for relay and clients\n")
    if given.only in {None, "chat"}:
        series = {}
        for name, round_trip in (("no delay", 0.0), ("25 ms", ROUND_TRIP)):
            say(f"· the benchmark of the announcement, {name}")
            series[name] = chat(relay, 1 if given.quick else 5, round_trip)
        everything["chat"] = series
        print(f"{report.chat(series)}\n", flush=True)
    if given.only in {None, "pipeline"}:
        found = pipeline.measure(relay, quick=given.quick)
        everything["pipeline"] = asdict(found)
        print(f"{report.pipeline(found)}\n\n{targets(found)}", flush=True)
    if given.only in {None, "push"}:
        steady = push.measure(lab, relay, quick=given.quick)
        everything["push"] = [asdict(one) for one in steady]
        print(f"\n{report.push(steady)}", flush=True)
    if given.only in {None, "expiry"}:
        night = expiry.measure(relay, quick=given.quick)
        everything["expiry"] = asdict(night)
        print(f"\n{report.expiry(night)}", flush=True)
    if given.only in {None, "federation"}:
        between = federation.measure(lab, quick=given.quick)
        everything["federation"] = asdict(between)
        print(f"\n{federation.tables(between)}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(everything, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
