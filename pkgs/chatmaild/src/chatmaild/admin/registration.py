"""
`chatmail registration`: stops the creation of new addresses at once, and starts it again.

The stop is a file beside the account book. The daemons look for it at every request, so it needs no
restart, works while they are down, and survives a reboot.
"""

import argparse
import json
import os

from chatmaild import admission
from chatmaild.admin.command import CommandError, add_json
from chatmaild.config import Config

HELP = "stop or start the creation of new addresses"
MEANING = {
    "open": "anyone can create an address",
    "invite": "a new address requires an invite",
    "closed": "there are no new addresses",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("stop", "refuse new addresses from now on, with or without an invite"),
        ("start", "end the stop"),
        ("show", "show whether new addresses can be created"),
    ):
        add_json(actions.add_parser(name, help=text))


def run(config: Config, options: argparse.Namespace) -> int:
    """Stop, start or show."""
    path = config.paths.nocreate
    try:
        if options.action == "stop":
            # The directory is not root's, so a link there is not followed.
            flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(path, flags, 0o644))
        elif options.action == "start":
            path.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    _show(config, as_json=options.json)
    return 0


def _show(config: Config, *, as_json: bool) -> None:
    stopped = admission.nocreate(config.paths.nocreate)
    shortage = admission.decide(admission.read_host(config.paths.mailboxes), config.admission)
    if as_json:
        state = {
            "registration": config.registration,
            "stopped": stopped,
            "shortage": shortage.value if shortage else None,
        }
        print(json.dumps(state, indent=2))
        return
    print(f"setting   {config.registration}: {MEANING[config.registration]}")
    print(f"stopped   {'yes: no new addresses' if stopped else 'no'}")
    print(f"pressure  {f'low on {shortage.value}: no new addresses' if shortage else 'none'}")
