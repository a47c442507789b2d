"""
Evaluates expressions over modules/relay.

The evaluation is restricted and has no NIX_PATH, so a file that refers to anything else fails.
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
    """Nix' error message."""


def nix(expression: str, relay: Path = RELAY) -> Any:
    """
    Return the JSON value of a Nix expression in which `relay` is modules/relay.

    Raises EvaluationError with Nix' own message.
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
    """Return a Nix expression for JSON data."""
    return f"(builtins.fromJSON {json.dumps(json.dumps(data)).replace('${', chr(92) + '${')})"


def evaluate(
    settings: Value, *, platform: str = '"debian"', override: Value | None = None, pick: str = ""
) -> Any:
    """Return the value of a relay, or what `pick` (such as ".problems") selects from it."""
    return nix(
        f"(import relay {{ settings = {as_nix(settings)}; platform = {platform}; "
        f"override = {as_nix(override or {})}; }}){pick}"
    )


def problems(settings: Value) -> list[str]:
    """Return the error messages for the operator."""
    found: list[str] = evaluate(settings, pick=".problems")
    return found
