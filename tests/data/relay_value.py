"""
Evaluating expressions over modules/relay.

Restricted and without NIX_PATH, so that a file that reaches out stops with an error.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

RELAY = Path(__file__).resolve().parents[2] / "modules" / "relay"

Value = dict[str, Any]


class EvaluationError(Exception):
    """What Nix said, as it said it."""


def nix(expression: str, relay: Path = RELAY) -> Any:
    """
    The JSON value of a Nix expression in which `relay` is modules/relay.

    Raises EvaluationError with Nix' own words.
    """
    done = subprocess.run(
        [
            "nix-instantiate",
            *("--eval", "--strict", "--json"),
            *("--option", "restrict-eval", "true"),
            *("-I", f"relay={relay}"),
            *("--expr", f"let relay = {relay}; in {expression}"),
        ],
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise EvaluationError(done.stderr)
    return json.loads(done.stdout)


def as_nix(data: object) -> str:
    """A Nix expression for data that JSON can say."""
    return f"(builtins.fromJSON {json.dumps(json.dumps(data)).replace('${', chr(92) + '${')})"


def evaluate(
    settings: Value, *, platform: str = '"debian"', override: Value | None = None, pick: str = ""
) -> Any:
    """The value of a relay, or what `pick` (such as ".problems") takes from it."""
    return nix(
        f"(import relay {{ settings = {as_nix(settings)}; platform = {platform}; "
        f"override = {as_nix(override or {})}; }}){pick}"
    )


def problems(settings: Value) -> list[str]:
    """The sentences that the operator would read."""
    found: list[str] = evaluate(settings, pick=".problems")
    return found
