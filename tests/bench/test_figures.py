"""Tests of the statistics."""

from __future__ import annotations

import pytest

from bench.figures import paired_ratio, percentile, summary


def test_percentile_is_a_value_of_the_series() -> None:
    """Nearest rank: there is no interpolation between two measurements."""
    series = [float(number) for number in range(1, 101)]
    assert percentile(series, 0.95) == 95
    assert percentile(series, 1) == 100
    assert percentile(series, 0) == 1
    assert percentile([7.0], 0.95) == 7


@pytest.mark.parametrize("share", [-0.1, 1.1, 95])
def test_percentile_refuses_a_share_outside_zero_to_one(share: float) -> None:
    """95 instead of 0.95 would silently be the maximum."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile([1.0], share)


def test_an_empty_series_has_no_percentile() -> None:
    """A benchmark without measurements must not print a figure."""
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_summary_does_not_depend_on_the_order() -> None:
    """Measurements come in any order."""
    assert summary([3.0, 1.0, 2.0]) == summary([1.0, 2.0, 3.0])
    found = summary([4.0, 1.0, 2.0, 3.0])
    assert (found.median, found.low, found.high, found.p95, found.count) == (2.5, 1, 4, 4, 4)


def test_a_slow_round_on_both_sides_does_not_change_the_ratio() -> None:
    """The reason for pairs: 100 against 50 and, in a slow moment, 10 against 5."""
    assert paired_ratio([50, 5, 50], [100, 10, 100]) == 0.5


def test_refuses_to_pair_different_numbers_of_rounds() -> None:
    """A lost round would shift every pair after it."""
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_ratio([1.0], [1.0, 2.0])
