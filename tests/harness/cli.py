"""
The command line of the lab: `tests/lab`.

Exit status: 0 for success, 1 for a failure (one sentence gives the reason and the remedy), 2 for a
wrong command line. `run`, `enter`, `all`, `test`, `unit` and `bench` return the status of their
command.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from harness import commands
from harness.errors import LabError
from harness.places import SUITES, cache, default_suite

# The remaining arguments belong to another program, including options.
PASSED_ON = ("all", "test", "unit", "bench")
COMMAND_AFTER_DASHES = ("enter", "run")
EXAMPLES = """\
examples:
  tests/lab up one.test two.test     two relays that can write to each other
  tests/lab enter one.test           a shell on the first
  tests/lab run -- curl -k https://one.test/
  tests/lab test tests/relay/test_login.py -k wrong_password --sit
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser for all arguments that are not passed on."""
    top = argparse.ArgumentParser(
        prog="tests/lab",
        description="Whole chatmail relays in Debian containers, and clients around them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "--suite",
        choices=SUITES,
        default=None,
        help="Debian suite of the machines (default: $SUITE or %(const)s)".replace(
            "%(const)s", SUITES[0]
        ),
    )
    top.add_argument(
        "--labs",
        type=int,
        choices=range(1, 9),
        default=1,
        metavar="N",
        help="for all and test: number of labs that share the test files, at most one per CPU",
    )
    add = top.add_subparsers(dest="command", required=True, metavar="COMMAND").add_parser
    up = add("up", help="boot relays and show two Delta Chat clients talking through each")
    up.add_argument("domains", nargs="*", metavar="DOMAIN", help="default: _chat.test")
    up.add_argument(
        "--ports",
        default=None,
        metavar="BASE",
        help="forward 127.0.0.1:BASE+25 and so on (default: 10000, 11000 … per relay), or none",
    )
    add("down", help="stop and remove everything")
    add("list", help="list the machines")
    enter = add("enter", help="open a shell or run a command on a machine")
    enter.add_argument("machine", metavar="MACHINE")
    add("run", help="open a shell or run a command among the clients")
    logs = add("logs", help="show the journal of one machine or of all")
    logs.add_argument("machine", nargs="?", metavar="MACHINE")
    logs.add_argument("-f", "--follow", action="store_true", help="follow until interrupted")
    add("image", help="build the machine image if it is not in the cache")
    add("prepare", help="install missing packages, build the image, install the test clients")
    add("all", help="run check, unit and test")
    add("test", help="run pytest among the clients, then remove what it started")
    add("unit", help="run chatmaild's unit tests in the machine image")
    add("bench", help="run the benchmark among the clients, then remove what it started")
    add("check", help="check types, lint and formatting")
    add("format", help="format the code")
    return top


def main(arguments: Sequence[str]) -> int:
    """Run one command of the lab; return its exit status."""
    own, rest = _split(list(arguments))
    given = parser().parse_args(own)
    signal.signal(signal.SIGTERM, _terminated)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which is nohup(1)'s
        signal.signal(signal.SIGHUP, _terminated)
    try:
        suite = given.suite or default_suite()
        os.environ["SUITE"] = suite
        # Nix only evaluates here. Without this, it warns each time that root has no group of
        # builders.
        os.environ.setdefault("NIX_CONFIG", "build-users-group =")
        return _dispatch(given, suite, rest)
    except LabError as problem:
        print(f"lab: {problem}", file=sys.stderr)
        return 1
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"lab: the disk is full: {problem.filename or cache()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; `tests/lab down` takes down what is left", file=sys.stderr)
        return commands.INTERRUPTED


def _dispatch(given: argparse.Namespace, suite: str, rest: list[str]) -> int:
    match given.command:
        case "up":
            return commands.up(given.domains, suite, given.ports)
        case "enter":
            return commands.enter(given.machine, rest)
        case "logs":
            return commands.logs(given.machine, follow=given.follow)
        case "run":
            return commands.run(rest, suite)
        case "all" | "test" as name:
            # Machines that are kept for inspection must be found by later commands.
            labs = 1 if "--sit" in rest else min(given.labs, os.cpu_count() or 1)
            sharing = {"all": commands.everything, "test": commands.test}
            return sharing[name](rest, suite, labs)
        case "unit" | "bench" as name:
            passing = {"unit": commands.unit, "bench": commands.bench}
            return passing[name](rest, suite)
        case name:
            simple = {
                "down": commands.down,
                "list": commands.list_machines,
                "image": commands.image,
                "prepare": commands.prepare,
                "check": commands.check,
                "format": commands.format_code,
            }
            return simple[name](suite)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Divide the arguments into ours and those that are passed on."""
    words = iter(enumerate(arguments))
    for index, word in words:
        if word in ("--suite", "--labs"):
            next(words, None)
        elif not word.startswith("-"):
            if word in PASSED_ON:
                return arguments[: index + 1], arguments[index + 1 :]
            if word in COMMAND_AFTER_DASHES and "--" in arguments:
                dashes = arguments.index("--")
                return arguments[:dashes], arguments[dashes + 1 :]
            break
    return arguments, []


def _terminated(_number: int, _frame: FrameType | None) -> None:
    """Treat SIGTERM and SIGHUP like ^C, so that everything is stopped."""
    raise KeyboardInterrupt
