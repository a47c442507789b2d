"""
Checks the parts of nixfmt's style that need no nixfmt, and that every Nix file can be parsed.

nixfmt is not packaged for every Debian release. If it is installed, it decides. Otherwise these
checks find tabs, spaces at line ends, odd indentation, and `with lib;`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from harness.places import CHECKOUT

MAX_COLUMNS = 130
HABITS = (
    (re.compile(r"\t"), "a tab"),
    (re.compile(r"[ \t]+$"), "blanks at the end of the line"),
    (re.compile(r"^\s*with lib;"), "`with lib;`: it hides where a name comes from"),
    # A string is one line of any length, as nixfmt does not break it either.
    (re.compile(rf'^[^"]{{{MAX_COLUMNS + 1},}}$'), f"more than {MAX_COLUMNS} columns"),
)


def files() -> list[Path]:
    """List every Nix file of the checkout that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.nix"]
    if shutil.which("git"):
        listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        if not listed.returncode:
            names = listed.stdout.split()
            return [CHECKOUT / name for name in names if (CHECKOUT / name).exists()]
    # An archive without .git, or a checkout that belongs to somebody else.
    return sorted(CHECKOUT.rglob("*.nix"))


def complaints(path: Path) -> list[str]:
    """Return the errors in a file, with line numbers."""
    text = path.read_text()
    found = [
        f"{path}:{number}: {what}"
        for number, line in enumerate(text.splitlines(), 1)
        for habit, what in HABITS
        if habit.search(line)
    ]
    if not text.endswith("\n") or text.endswith("\n\n"):
        found.append(f"{path}: does not end in one line end")
    return found


def check() -> int:
    """Print complaints about Nix files; 0 if there are none, else 1."""
    paths = files()
    print(f"· nix-instantiate --parse, {len(paths)} files", flush=True)
    parsed = _parse(paths)
    found = [complaint for path in paths for complaint in complaints(path)]
    print("\n".join(found), end="\n" if found else "")
    formatter = shutil.which("nixfmt")
    formatted = 0
    if formatter:
        print("· nixfmt --check", flush=True)
        formatted = subprocess.run([formatter, "--check", *map(str, paths)], check=False).returncode
    return int(bool(parsed or found or formatted))


def _parse(paths: list[Path]) -> int:
    """Let Nix parse every file; return its exit status, or 1 without Nix."""
    if not shutil.which("nix-instantiate"):
        print(
            "the Nix files were not parsed, because nix-instantiate is missing; install it with: "
            "sudo apt-get install nix-bin"
        )
        return 1
    # Without a store, because an ordinary user cannot open the system's.
    command = ["nix-instantiate", "--store", "dummy://", "--parse", *map(str, paths)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
