"""Checks lint, formatting and types of all code, without starting anything."""

from __future__ import annotations

import os
import subprocess

from harness import nix_style
from harness.places import CHECKOUT, cache
from harness.venv import venv


def check() -> int:
    """Run ruff, mypy and the checks of Nix files; return 0 if there are no complaints, else 1."""
    commands = [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["mypy"],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *_workflows()],
    ]
    return _all(commands) | nix_style.check()


def _workflows() -> list[str]:
    return [str(path) for path in sorted((CHECKOUT / ".github" / "workflows").glob("*.yml"))]


def format_code() -> int:
    """Let ruff format and fix what it can."""
    return _all([["ruff", "check", "--fix-only", "--quiet"], ["ruff", "format"]])


def _all(commands: list[list[str]]) -> int:
    tools = venv() / "bin"
    # Outside of the checkout, where files of root could not be replaced by the owner.
    caches = cache() / "check"
    places = {"RUFF_CACHE_DIR": str(caches / "ruff"), "MYPY_CACHE_DIR": str(caches / "mypy")}
    environment = dict(os.environ, **places)
    failed = 0
    for tool, *arguments in commands:
        print(f"· {' '.join([tool, *arguments])}", flush=True)
        done = subprocess.run(
            [str(tools / tool), *arguments], cwd=CHECKOUT, env=environment, check=False
        )
        failed |= int(done.returncode != 0)
    return failed
