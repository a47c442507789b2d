"""What the asyncio daemons have in common: options, exit codes, signals, the hourly line."""

import argparse
import asyncio
import logging
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from chatmaild import admission
from chatmaild.config import DEFAULT_PATH, Config, ConfigError, load
from chatmaild.service import journal, systemd
from chatmaild.service.counters import Counters

log = logging.getLogger(__name__)

STATUS_SECONDS = 3600.0


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


def stop_on_signal() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; to be called inside the running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def warn_about_admission(config: Config) -> None:
    """Warn where a sandbox hides what an admission limit is held against."""
    host = admission.read_host(config.paths.mailboxes)
    for key in admission.unreadable(host, config.admission):
        log.warning("`%s` has no effect: the host's value cannot be read in this sandbox", key)


async def log_hourly(counters: Counters) -> None:
    """Write the counters to the log and to `systemctl status`, every hour until cancelled."""

    async def report() -> None:
        line = counters.report()
        systemd.notify(f"STATUS={line}")
        log.info("%s", line)

    await every(STATUS_SECONDS, report)


async def every(seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
    """Do a chore again and again until cancelled; the first time after `seconds`."""
    while True:
        await asyncio.sleep(seconds)
        await chore()
