"""
The real chatmail-filter with a DNS from a file: `rigged_filter.py ZONE.json --config FILE`.

ZONE.json maps names to TXT records. Some records change the look-up: "crash" makes it fail as a bug
would, and "silence" as a dead name server does. "late" makes it write to the FIFO `asked` beside
the file and wait until the FIFO `late` is closed.
"""

import json
import sys
from pathlib import Path

from chatmaild.filter import milter
from chatmaild.signatures import resolver
from chatmaild.signatures.verifying import KeyUnavailableError

ZONE = Path(sys.argv[1])


def lookup(name: str, seconds: float) -> list[bytes]:
    """Answer from the zone file."""
    records = json.loads(ZONE.read_text()).get(name, [])
    if "crash" in records:
        raise RuntimeError(f"secret content for {name}")
    if "silence" in records:
        raise KeyUnavailableError
    if "late" in records:
        ZONE.with_name("asked").write_bytes(b"?")
        ZONE.with_name("late").read_bytes()
        raise KeyUnavailableError
    return [record.encode() for record in records]


if __name__ == "__main__":
    resolver.lookup_txt = lookup
    sys.exit(milter.main(sys.argv[2:]))
