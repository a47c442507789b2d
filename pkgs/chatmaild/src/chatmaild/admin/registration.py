"""
`chatmail registration`: whether there are new addresses, and the emergency stop.

The stop is a file beside the account book, looked for at every request: it needs no restart, works
while the daemons are down, and outlives a reboot.
"""

import argparse
import json
import os

from chatmaild import admission
from chatmaild.admin.cli import CommandError
from chatmaild.config import Config

MEANING = {
    "open": "everyone gets an address",
    "invite": "whoever has an invite gets an address",
    "closed": "nobody gets an address",
}


def run(config: Config, options: argparse.Namespace) -> int:
    """Stop, start or show."""
    path = config.paths.nocreate
    try:
        if options.action == "stop":
            # Nothing follows a link there: the directory is not root's.
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
    print(f"stopped   {'yes, nobody gets an address' if stopped else 'no'}")
    print(f"pressure  {f'{shortage.value} is short, nobody gets one' if shortage else 'none'}")
