"""What all programs but the operator's command have in common: options, logging, exit codes."""

import argparse
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from chatmaild.config import DEFAULT_PATH, Config, ConfigError, load
from chatmaild.service import journal


def run(
    name: str,
    description: str,
    work: Callable[[Config], None],
    failures: tuple[type[Exception], ...],
    arguments: list[str] | None = None,
) -> int:
    """
    Read the options and the configuration, then `work` until it returns; return the exit code.

    A ConfigError and the named `failures` end with code 1 and their one sentence. Anything else
    is a fault of the program and keeps its traceback for the journal.
    """
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_PATH,
        metavar="FILE",
        help="configuration file (default: %(default)s)",
    )
    parser.add_argument(
        "--check-config", action="store_true", help="read the configuration file and exit"
    )
    options = parser.parse_args(arguments)
    expected: tuple[type[Exception], ...] = (ConfigError, *failures)
    journal.start()
    try:
        config = load(options.config)
        if not options.check_config:
            _raise_open_files()
            work(config)
    except expected as error:
        print(journal.with_priority(f"{name}: {error}"), file=sys.stderr)
        return 1
    return 0


def _raise_open_files() -> None:
    """Allow as many open files as the unit does: the soft limit of 1024 is for select(2)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
