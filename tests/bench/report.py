"""The tables: plain text, at most 100 columns."""

from __future__ import annotations

from collections.abc import Sequence

from bench.chat import ANNOUNCED
from bench.expiry import Expiry
from bench.figures import paired_ratio, summary
from bench.load import Result
from bench.pipeline import VARIANTS, Measured, Pipeline
from bench.push import Steady

MEGABYTE = 1024 * 1024
LEGEND = """\
lat: end of DATA to the IDLE notification, as many messages under way as connections.
client: the load's own share of the processor time used, in b."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format columns: the first left-aligned, the others right-aligned."""
    lines = [list(head), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    shown = [
        line[0].ljust(widths[0])
        + "".join(
            "  " + cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)
        )
        for line in lines
    ]
    return "\n".join([shown[0], "-" * max(map(len, shown)), *shown[1:]])


def chat(series: dict[str, dict[str, list[float]]]) -> str:
    """Format the benchmark of the announcement; `series`: distance -> name -> seconds."""
    head = ["seconds"]
    for distance in series:
        head += [distance, "min", "max"]
    head += ["announced", "min", "max"]
    rows = []
    for name, announced in ANNOUNCED.items():
        row = [name]
        for runs in series.values():
            found = summary(runs[name])
            row += [f"{found.median:.3f}", f"{found.low:.3f}", f"{found.high:.3f}"]
        rows.append([*row, *(f"{figure:.2f}" for figure in announced)])
    return table(head, rows)


def pipeline(found: Pipeline) -> str:
    """Format rates, latencies and costs."""
    parts = [
        "Messages per second until the queue is empty, median; a: no filter, b: as shipped",
        table(
            ["", "a /s", "b /s", "b/a", "a lat ms", "95%", "b lat ms", "95%", "client"],
            [_rates(measured) for measured in found.cases],
        ),
        LEGEND,
        "Processor time per message, ms, in b (median of rounds; control groups)",
        _costs(found),
        memory(found),
        row(found.row),
    ]
    return "\n\n".join(parts)


def _per_second(measured: Measured) -> dict[str, list[float]]:
    return {
        name: [result.acknowledged / result.wall for result in measured.rates[name]]
        for name in VARIANTS
    }


def rate_ratio(measured: Measured) -> float:
    """Return the rate with the filter divided by that without, per round."""
    rates = _per_second(measured)
    return paired_ratio(rates["shipped"], rates["bare"])


def _rates(measured: Measured) -> list[str]:
    rates = _per_second(measured)
    latencies = {
        name: summary([one for result in measured.chains[name] for one in result.latencies])
        for name in VARIANTS
    }
    cells = [measured.case.name]
    cells += [f"{summary(rates[name]).median:.0f}" for name in VARIANTS]
    cells.append(f"{rate_ratio(measured):.2f}")
    for name in VARIANTS:
        cells += [f"{latencies[name].median * 1000:.1f}", f"{latencies[name].p95 * 1000:.1f}"]
    shares = [_share(result) for result in measured.rates["shipped"]]
    return [*cells, f"{summary(shares).median:.0%}"]


def _share(result: Result) -> float:
    used = result.client_cpu + sum(result.unit_cpu.values())
    return result.client_cpu / used if used else 0


def filter_cpu(measured: Measured) -> float:
    """Return the filter's CPU time per message, in ms."""
    results = measured.rates["shipped"]
    return 1000 * summary([r.unit_cpu["chatmail-filter"] / r.acknowledged for r in results]).median


def _costs(found: Pipeline) -> str:
    units = list(found.row.unit_cpu)
    rows = []
    for measured in found.cases:
        cells = [measured.case.name]
        for unit in units:
            results = measured.rates["shipped"]
            spent = [result.unit_cpu[unit] / result.acknowledged for result in results]
            cells.append(f"{summary(spent).median * 1000:.2f}")
        rows.append(cells)
    return table(["", *(unit.removeprefix("systemd-") for unit in units)], rows)


def memory(found: Pipeline) -> str:
    """Format the daemons' memory."""
    rows = [
        [
            unit.removesuffix(".service"),
            f"{found.pss_before[unit] / MEGABYTE:.1f}",
            f"{found.pss_after[unit] / MEGABYTE:.1f}",
        ]
        for unit in found.pss_before
    ]
    sums = [sum(books.values()) / MEGABYTE for books in (found.pss_before, found.pss_after)]
    rows.append(["together", *(f"{figure:.1f}" for figure in sums)])
    shown = table(["memory, MB (PSS)", "at rest", "after load"], rows)
    idle = f"One hibernated IDLE connection ({found.idle_connections} opened): "
    return f"{shown}\n\n{idle}{found.idle_bytes / 1024:.0f} KB of Dovecot"


def expiry(found: Expiry) -> str:
    """Format the duration of the expiry and its effect on deliveries."""
    first = found.nights[0]
    before, meanwhile = summary(found.before), summary(found.meanwhile)
    rows = [
        ["mailboxes", f"{first.mailboxes}", ""],
        ["messages seen", f"{first.messages}", ""],
        ["messages removed", f"{first.removed}", ""],
        ["seconds", f"{first.seconds:.1f}", "300"],
        ["memory at most, MB", f"{max(night.megabytes for night in found.nights)}", "100"],
        ["delivery before, median ms", f"{before.median * 1000:.1f}", ""],
        ["delivery meanwhile, median ms", f"{meanwhile.median * 1000:.1f}", "twice"],
        ["delivery before, 95% ms", f"{before.p95 * 1000:.1f}", ""],
        ["delivery meanwhile, 95% ms", f"{meanwhile.p95 * 1000:.1f}", "twice"],
    ]
    return table(["expiry", "measured", "wanted"], rows)


def row(found: Result) -> str:
    """Format the latency of notifications in a series."""
    figures = summary(found.latencies)
    dovecot = found.unit_cpu["dovecot"] / found.acknowledged
    return (
        f"IDLE notification, {figures.count} messages 200 ms apart: "
        f"median {figures.median * 1000:.1f} ms, 95% {figures.p95 * 1000:.1f} ms;\n"
        f"Dovecot {dovecot * 1000:.1f} ms processor time per message"
    )


def push(found: Sequence[Steady]) -> str:
    """Format the latency of push notifications."""
    rows = []
    for one in found:
        figures = summary(one.latencies)
        slowest = max(one.latencies) * 1000
        rows.append(
            [
                f"{one.rate} a second",
                str(figures.count),
                f"{figures.median * 1000:.1f}",
                f"{figures.p95 * 1000:.1f}",
                f"{slowest:.1f}",
                f"{one.cpu * 1000:.2f}",
            ]
        )
    head = ["push, ms", "messages", "median", "95%", "slowest", "accounts, ms of processor"]
    legend = "From the end of DATA, so with the whole delivery, to the POST at the push proxy."
    return f"{table(head, rows)}\n{legend}"
