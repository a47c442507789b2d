"""The common part of all programs except the operator's command: options, logging, exit codes."""

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
    Read the options and the configuration, then call `work`; return the exit code.

    A ConfigError or one of the expected `failures` ends with code 1 and its message. Any other
    exception is a bug, and its traceback goes to the journal.
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
    """Raise the limit on open files to the unit's: the soft limit of 1024 is for select(2)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
