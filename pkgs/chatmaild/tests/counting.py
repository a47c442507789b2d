"""Reads counters in tests."""

from chatmaild.service.counters import Counters


def counted(counters: Counters) -> dict[tuple[str | int, ...], int]:
    """Return each number by its name and labels."""
    return {tuple(key): int(number) for *key, number in counters.rows()}
