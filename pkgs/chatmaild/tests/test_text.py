"""Sizes and times in readable form."""

import pytest

from chatmaild.text import human_age, human_size


@pytest.mark.parametrize(
    ("size", "text"),
    [(5, "5 B"), (2048, "2.0 KiB"), (5 * 1024**3, "5.0 GiB"), (1024**5, "1024.0 TiB")],
)
def test_sizes(size: int, text: str) -> None:
    """In the largest unit that fits."""
    assert human_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (90, "90 s"), (121, "2 min"), (7300, "2 h"), (100_000, "27 h"), (200_000, "2 d")],
)
def test_ages(seconds: int, text: str) -> None:
    """A unit is used from two of it on."""
    assert human_age(seconds) == text
