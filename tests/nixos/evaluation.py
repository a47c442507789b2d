"""
Evaluates modules/, hosts/ and flake.nix with nixpkgs' lib and a stand-in for the rest of nixpkgs.

lib is searched at $NIXPKGS_LIB, then as nixpkgs-lib in the tests' cache directory. Without it, the
tests of this directory are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
NIXOS = REPOSITORY / "tests" / "nixos"
SOURCE = "https://github.com/nix-community/nixpkgs.lib"

Settings = dict[str, Any]

# The smallest settings of a public relay.
GOOD: Settings = {
    "domain": "chat.example.org",
    "certificate": {"email": "operator@example.org"},
}


def cache_directory() -> Path:
    """Return the directory for downloads of the tests."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "chatmail-lab"


def find_lib() -> Path | None:
    """Return the directory that holds nixpkgs' lib/, or None."""
    candidates = [Path(os.environ["NIXPKGS_LIB"])] if os.environ.get("NIXPKGS_LIB") else []
    candidates.append(cache_directory() / "nixpkgs-lib")
    return next((path for path in candidates if (path / "lib" / "default.nix").is_file()), None)


def how_to_get_lib() -> str:
    """Return instructions for users without lib."""
    place = cache_directory() / "nixpkgs-lib"
    return f"nixpkgs' lib is not there; get it with: git clone {SOURCE} {place}"


class EvaluationError(Exception):
    """Nix' error message."""


def nix(expression: str) -> Any:
    """
    Return the JSON value of a Nix expression.

    In it `lib` is nixpkgs' lib, `nixpkgs` the stand-in, `repository` this checkout, and `see`
    tests/nixos/see.nix. Raises EvaluationError with Nix' own message.
    """
    names = (
        f"repository = {REPOSITORY}; lib = import {find_lib()}/lib; "
        f"nixpkgs = import {NIXOS}/stand-in {{ inherit lib; }}; "
        f"see = import {NIXOS}/see.nix {{ inherit lib nixpkgs repository; }};"
    )
    done = subprocess.run(
        [
            "nix-instantiate",
            *("--eval", "--strict", "--json", "--readonly-mode"),
            *("--expr", f"let {names} in {expression}"),
        ],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise EvaluationError(done.stderr)
    return json.loads(done.stdout)


def as_nix(data: object) -> str:
    """Return a Nix expression for JSON data."""
    return f"(builtins.fromJSON {json.dumps(json.dumps(data)).replace('${', chr(92) + '${')})"


def host(configuration: str) -> str:
    """Return a Nix expression for a NixOS system: the module, and a configuration in Nix."""
    return f"(see.host ({configuration}))"


def chatmail(settings: dict[str, Any]) -> str:
    """Return a Nix expression for a system with services.chatmail of these settings, enabled."""
    return host(f"{{ services.chatmail = {as_nix(settings)} // {{ enable = true; }}; }}")
