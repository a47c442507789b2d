"""
`chatmail status`: a quick check of every part, with a remedy for each fault.

Exit code 0 means that nothing is wrong, and 1 that something is. With 3 nothing seems wrong, but
some checks were not possible, for example for a user who is not root.
"""

import argparse
import json
from dataclasses import asdict

from chatmaild.admin.command import add_json
from chatmaild.config import Config

HELP = "check whether this relay works"
INCOMPLETE = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the one option."""
    add_json(parser)


def run(config: Config, options: argparse.Namespace) -> int:
    """Print all checks and the verdict."""
    from chatmaild.health import checks, everything

    found = everything.look(config)
    states = {check.state for check in found}
    if options.json:
        described = [asdict(check) for check in found]
        print(json.dumps({"verdict": checks.verdict(found), "checks": described}, indent=2))
    else:
        print("\n".join(checks.lines(found)))
    return 1 if "wrong" in states else INCOMPLETE if "unknown" in states else 0
