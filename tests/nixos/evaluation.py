"""
Evaluates modules/, hosts/ and flake.nix with nixpkgs' lib and a stand-in for the rest of nixpkgs.

lib is searched at $NIXPKGS_LIB, or if that is not set, as nixpkgs-lib in the tests' cache
directory. If it is not there, small-lib/ replaces it.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
NIXOS = REPOSITORY / "tests" / "nixos"
SMALL_LIB = NIXOS / "small-lib"
# Those of which stand-in/releases/ has the differences.
RELEASES = ("26.05", "26.11")
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
    """Return the directory of nixpkgs' lib, or None if it is not there."""
    place = os.environ.get("NIXPKGS_LIB") or cache_directory() / "nixpkgs-lib"
    path = Path(place) / "lib"
    return path if (path / "default.nix").is_file() else None


def how_to_get_lib() -> str:
    """Return instructions for users without lib."""
    place = cache_directory() / "nixpkgs-lib"
    return f"nixpkgs' lib is not there; get it with: git clone {SOURCE} {place}"


class Nixpkgs(NamedTuple):
    """The lib and the NixOS release with which systems are evaluated."""

    lib: Path
    release: str


def places() -> list[Nixpkgs]:
    """
    Return what every test is run with: each release, and each lib that is there.

    test_small_lib.py compares all four combinations, so here two are enough.
    """
    return [Nixpkgs(find_lib() or SMALL_LIB, RELEASES[0]), Nixpkgs(SMALL_LIB, RELEASES[1])]


# Replaced by the fixture `nixpkgs` (conftest.py).
current = [places()[0]]


class EvaluationError(Exception):
    """Nix' error message."""


def nix(expression: str, nixpkgs: Nixpkgs | None = None) -> Any:
    """
    Return the JSON value of a Nix expression.

    In it `lib` is nixpkgs' lib or the small one, `nixpkgs` the stand-in of a release, `repository`
    this checkout, and `see` tests/nixos/see.nix. Raises EvaluationError with Nix' own message.
    """
    lib, release = nixpkgs or current[0]
    names = (
        f"repository = {REPOSITORY}; lib = import {lib}; "
        f'nixpkgs = import {NIXOS}/stand-in {{ inherit lib; release = "{release}"; }}; '
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
