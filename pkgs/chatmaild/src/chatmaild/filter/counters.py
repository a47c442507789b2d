"""What the filter did, as numbers: an operator sees trouble without seeing people."""

import threading


class Counters:
    """Events counted by name; safe to share between threads."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._counts: dict[str, int] = {}
        self._reported: dict[str, int] = {}
        self._lock = threading.Lock()

    def count(self, event: str) -> None:
        """Count one event; names come from this package, never from a message."""
        with self._lock:
            self._counts[event] = self._counts.get(event, 0) + 1

    def totals(self) -> dict[str, int]:
        """Return all counts since the start."""
        with self._lock:
            return dict(self._counts)

    def report(self) -> str:
        """Write what was counted since the last report as `name=number` in one line."""
        with self._lock:
            counts = dict(self._counts)
            before, self._reported = self._reported, counts
        return " ".join(
            f"{event}={number - before.get(event, 0)}"
            for event, number in sorted(counts.items())
            if number > before.get(event, 0)
        )
