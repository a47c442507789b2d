"""Figures out of measurements."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """What is printed of a series; unit as measured."""

    median: float
    low: float
    high: float
    p95: float
    count: int


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` (0 to 1) of the series does not exceed: nearest rank."""
    if not values:
        raise ValueError("a percentile of nothing")
    if not 0 <= share <= 1:
        raise ValueError(f"a percentile is a share between 0 and 1, not {share}")
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def summary(values: Sequence[float]) -> Summary:
    """Median, extremes and 95th percentile of a series that is not empty."""
    return Summary(
        median=statistics.median(values),
        low=min(values),
        high=max(values),
        p95=percentile(values, 0.95),
        count=len(values),
    )


def paired_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """
    The median of the ratios round by round.

    Rounds are interleaved, so what slows the machine down for a while slows both sides of a pair;
    the ratio of two medians would compare different moments.
    """
    if len(numerators) != len(denominators):
        raise ValueError(f"{len(numerators)} rounds cannot be paired with {len(denominators)}")
    ratios = [above / below for above, below in zip(numerators, denominators, strict=True)]
    return statistics.median(ratios)
