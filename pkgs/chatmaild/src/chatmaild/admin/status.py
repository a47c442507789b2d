"""
`chatmail status`: a quick look at every part, with what to do about each fault.

Exit code 0 means that nothing is wrong, 1 that something is, and 3 that nothing seemed wrong but
not everything could be seen, as by a user who is not root.
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
