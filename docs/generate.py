#!/usr/bin/env python3
"""Generate docs/options.md, the option reference, from the declarations of services.chatmail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
REFERENCE = DOCS / "options.md"
sys.path.insert(0, str(DOCS.parent / "tests"))

from nixos.evaluation import nix  # noqa: E402

HEAD = """\
# Options of `services.chatmail`

Generated from `modules/options.nix` and `modules/relay/settings.nix`. To change this page, edit
those files and run:

    python3 docs/generate.py

A value that cannot work is rejected with an error message before anything is built.
"""
OPTIONS = (
    'lib.filter (o: o.visible && !o.internal && lib.hasPrefix "services.chatmail" o.name) '
    "(lib.optionAttrSetToDocList (see.host { }).options)"
)


def code(expression: dict[str, str] | None) -> str:
    """Return a Nix expression as inline code."""
    return "none" if expression is None else f"`{' '.join(expression['text'].split())}`"


def entry(option: dict[str, Any]) -> str:
    """Return the section of one option."""
    facts = [f"Type: {option['type']}"]
    if option["readOnly"]:
        facts.append("read only")
    elif "default" in option:
        facts.append(f"default: {code(option['default'])}")
    else:
        facts.append("must be given")
    if "example" in option:
        facts.append(f"example: {code(option['example'])}")
    return f"## `{option['name']}`\n\n{option['description'].strip()}\n\n{'; '.join(facts)}.\n"


def reference() -> str:
    """Return the whole document."""
    options = sorted(nix(OPTIONS), key=lambda option: str(option["name"]))
    return "\n".join([HEAD, *map(entry, options)])


def main() -> int:
    """Write the document."""
    REFERENCE.write_text(reference())
    return 0


if __name__ == "__main__":
    sys.exit(main())
