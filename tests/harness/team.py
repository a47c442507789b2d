"""Several labs of one checkout that share the tests of one run (`sharing.py`)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from harness import progress, skips
from harness.places import NUMBER_VARIABLE, SHARED_VARIABLE


def run(arguments: Sequence[str], labs: int) -> int:
    """
    Run `tests/lab` with these arguments in this many labs; return the worst exit status.

    The first lab uses the terminal; the output of the others is printed when all have finished.
    """
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="chatmail-lab-"))
        outputs = [
            stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
            for _ in range(1, labs)
        ]
        members = [
            _start(arguments, place, number, output)
            for number, output in enumerate([None, *outputs])
        ]
        try:
            return max(_status(member.wait()) for member in members)
        except KeyboardInterrupt:
            # They have received ^C too, but not SIGTERM. Each takes down its own lab.
            for member in members:
                member.terminate()
            for member in members:
                member.wait()
            raise
        finally:
            for number, output in enumerate(outputs, start=2):
                progress.say(f"· lab {number} of {labs}")
                output.seek(0)
                print(output.read(), end="", flush=True)
            for line in skips.lines(skips.left_in(Path(place))):
                print(line, flush=True)


def _start(
    arguments: Sequence[str], place: str, number: int, output: IO[str] | None
) -> subprocess.Popen[bytes]:
    variables = {**os.environ, SHARED_VARIABLE: place}
    if number:
        variables[NUMBER_VARIABLE] = str(number + 1)
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.Popen(command, env=variables, stdout=output, stderr=output)


def _status(returned: int) -> int:
    """Return 128 + number for a process ended by a signal, as in a shell."""
    return returned if returned >= 0 else 128 - returned
