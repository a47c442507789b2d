"""Statistics of measurements."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """The printed statistics of a series, in the unit of the measurement."""

    median: float
    low: float
    high: float
    p95: float
    count: int


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` (0 to 1) of the series does not exceed."""
    if not values:
        raise ValueError("a percentile of nothing")
    if not 0 <= share <= 1:
        raise ValueError(f"a percentile is a share between 0 and 1, not {share}")
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def summary(values: Sequence[float]) -> Summary:
    """Return median, extremes and 95th percentile of a series that is not empty."""
    return Summary(
        median=statistics.median(values),
        low=min(values),
        high=max(values),
        p95=percentile(values, 0.95),
        count=len(values),
    )


def paired_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """
    Return the median of the ratios of each round.

    Rounds alternate, so a slow moment of the machine affects both sides of a pair. The ratio of two
    medians would compare different moments.
    """
    if len(numerators) != len(denominators):
        raise ValueError(f"{len(numerators)} rounds cannot be paired with {len(denominators)}")
    ratios = [above / below for above, below in zip(numerators, denominators, strict=True)]
    return statistics.median(ratios)
