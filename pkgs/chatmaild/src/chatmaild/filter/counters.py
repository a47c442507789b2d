"""What the filter did, as numbers: an operator sees trouble without seeing people."""

import threading


class Counters:
    """Events counted by name since the last report; safe to share between threads."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def count(self, event: str) -> None:
        """Count one event; names come from this package, never from a message."""
        with self._lock:
            self._counts[event] = self._counts.get(event, 0) + 1

    def report(self) -> str:
        """Write all counts as `name=number` in one line, "" for none, and start again at zero."""
        with self._lock:
            counts, self._counts = self._counts, {}
        return " ".join(f"{event}={number}" for event, number in sorted(counts.items()))
