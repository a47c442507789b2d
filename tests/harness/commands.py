"""The commands of `tests/lab`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness import check as code
from harness import durations, forward, host, inside, progress, show, team
from harness import lab as one_lab
from harness import unit as units
from harness.errors import LabError
from harness.evidence import SIT
from harness.image import image as machine_image
from harness.kinds import KINDS, RELAY, Kind
from harness.lab import Lab
from harness.machine import machine, machines
from harness.places import TESTS, Use, state
from harness.process import host_path, undisturbed
from harness.relay import Relay
from harness.venv import python, venv

DEFAULT_DOMAIN = "_chat.test"
# Its tests need other kinds of machine than a relay's.
INTEROP = TESTS / "interop"
# The shell's exit status of a command that ^C ended: 128 + SIGINT.
INTERRUPTED = 130
# Measured on two cores of 2023; the first run on a host also downloads and builds.
ALL_TESTS = "about 15 minutes on two cores, and a few more the first time"
BENCHMARK = "many minutes; the next run says how long this one took"


def prepare(suite: str, kinds: Sequence[Kind] = (RELAY,)) -> int:
    """Install what the host lacks, build images, and install the clients' environment."""
    host.prepare()
    for kind in kinds:
        machine_image(suite, kind)
    venv()
    return 0


def image(suite: str) -> int:
    """Build the image and print its path."""
    host.prepare()
    print(machine_image(suite))
    return 0


def up(domains: Sequence[str], suite: str, ports: str | None) -> int:
    """Boot relays, demonstrate them, and explain their use."""
    base = _base(ports)
    wanted = domains or [DEFAULT_DOMAIN]
    host.prepare()
    for domain in wanted:
        one_lab.refuse(domain)
    prepare(suite)
    with Use() as use:
        try:
            return _up(wanted, suite, base, forwarding=ports != "none")
        except BaseException:
            _take_down(suite, use)
            raise


def _up(domains: Sequence[str], suite: str, base: int | None, *, forwarding: bool) -> int:
    lab = Lab(suite)
    relays = _booted(lab, domains)
    forwards: dict[str, dict[int, int]] = {}
    for number, relay in enumerate(relays):
        if forwarding:
            first = None if base is None else base + number * forward.STEP
            wanted = list(relay.value.ports.values())
            forwards[relay.domain] = forward.start(relay.machine, wanted, first)
    names = [relay.domain for relay in relays]
    status = inside.run([str(python()), "-m", "harness.show", *names], suite)
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    for relay in relays:
        lab.keep(relay.machine)
    if status:
        raise LabError(
            "the relay is up, but the two clients could not talk through it (see above); "
            f"look at: tests/lab logs {names[0]}"
        )
    for relay in relays:
        print(f"\n{show.usage(relay, forwards.get(relay.domain, {}))}")
    return 0


def _booted(lab: Lab, domains: Sequence[str]) -> list[Relay]:
    """Return running relays; if one fails, the running ones are kept for inspection."""
    relays: list[Relay] = []
    for domain in domains:
        try:
            relays.append(lab.relay(domain))
        except LabError as problem:
            failed = machines().get(domain)
            if not failed or not failed.running():
                raise
            for one in (*(relay.machine for relay in relays), failed):
                lab.keep(one)
            raise LabError(
                f"{problem}\nthe machine stays up for a look (tests/lab enter {domain}); "
                "take it down with: tests/lab down"
            ) from None
    return relays


def down(_suite: str) -> int:
    """Stop and remove everything."""
    host.check_root()
    one_lab.down()
    return 0


def list_machines(_suite: str) -> int:
    """Print every machine with its state and addresses."""
    forwards = forward.running()
    for name, one in machines().items():
        condition = "running" if one.running() else "off"
        forwarded = sorted(forwards.get(name, {}).items())
        ports = " ".join(f"{port}→{here}" for port, here in forwarded)
        print(f"{name:24} {condition:8} {one.address:12} {one.address6:16} {ports}".rstrip())
    return 0


def enter(name: str, command: Sequence[str]) -> int:
    """Replace this process by a command on a machine."""
    host.check_root()
    whole = machine(name).command(list(command) or ["bash", "-l"])
    os.execvp(whole[0], whole)  # noqa: S606 (a list, and no shell is wanted)


def run(command: Sequence[str], suite: str) -> int:
    """Run a command among the clients."""
    host.check_root()
    with Use():
        return inside.run(list(command) or [os.environ.get("SHELL", "/bin/bash")], suite)


def logs(name: str | None, *, follow: bool) -> int:
    """Show journals until they end, or with `follow` until interrupted."""
    host.check_root()
    wanted = [machine(name)] if name else [one for one in machines().values() if one.running()]
    if not wanted:
        raise LabError("no machine is running; start one with: tests/lab up")
    options = ["--follow", "--lines=50"] if follow else []
    command = ["journalctl", "--no-pager", "--output=short-precise", *options]
    readers = [subprocess.Popen(one.command(command)) for one in wanted]
    try:
        return max(reader.wait() for reader in readers)
    except KeyboardInterrupt:
        return 0
    finally:
        for reader in readers:
            reader.terminate()
            reader.wait()


def test(arguments: Sequence[str], suite: str, labs: int) -> int:
    """
    Run pytest among the clients, and remove afterwards what it started.

    With several labs, each runs the test files that no other lab has taken.
    """
    named = [path for word in arguments if (path := Path(word.partition("::")[0])).exists()]
    paths = [] if named else [TESTS]
    strangers = any(
        INTEROP.is_relative_to(whole) or whole.is_relative_to(INTEROP)
        for whole in (path.resolve() for path in [*named, *paths])
    )
    prepare(suite, KINDS if strangers else (RELAY,))
    if labs > 1:
        return team.run(["--suite", suite, "test", *arguments], labs)
    plugin = ["-m", "pytest", "-p", "harness.pytest_plugin"]
    return _among_clients([*plugin, *arguments, *map(str, paths)], suite)


def everything(arguments: Sequence[str], suite: str, labs: int) -> int:
    """Check the code, run the unit tests, then the other tests; stop at a failure."""
    prepare(suite)
    name = f"all tests ({suite}, {labs} {'lab' if labs == 1 else 'labs'})"
    with durations.timed(name, ALL_TESTS) as run:
        status = code.check() or units.run(suite, arguments) or test(arguments, suite, labs)
        run.complete = not arguments and not status
    return status


def bench(arguments: Sequence[str], suite: str) -> int:
    """Run the benchmark among the clients."""
    if not (TESTS / "bench").is_dir():
        raise LabError("this checkout has no benchmark (tests/bench)")
    with durations.timed(f"benchmark ({suite})", BENCHMARK) as run:
        status = _among_clients(["-m", "bench", *arguments], suite)
        run.complete = not arguments and not status
    return status


def unit(arguments: Sequence[str], suite: str) -> int:
    """Run chatmaild's tests in the machine image."""
    host.prepare()
    return units.run(suite, arguments)


def check(_suite: str) -> int:
    """Check types, lint and formatting; this works without root."""
    host.prepare_check()
    return code.check()


def format_code(_suite: str) -> int:
    """Format the code."""
    host.prepare_check()
    return code.format_code()


def _among_clients(arguments: Sequence[str], suite: str) -> int:
    prepare(suite)
    marker = host_path(state() / SIT)
    with Use() as use:
        marker.unlink(missing_ok=True)
        try:
            _ = Lab(suite).dns
            return inside.run([str(python()), *arguments], suite)
        finally:
            if marker.exists():
                progress.say("· the lab stays up; take it down with: tests/lab down")
            else:
                _take_down(suite, use)


def _take_down(suite: str, use: Use) -> None:
    """Remove everything that is not kept; another ^C does not interrupt this."""
    if not use.alone():
        progress.say("· another command uses this lab; the last one takes it down")
        return
    with progress.step("taking down what was started"), undisturbed():
        Lab(suite).stop_all_but_kept()


def _base(ports: str | None) -> int | None:
    if ports in (None, "none"):
        return None
    if not ports.isdigit() or not 1000 <= int(ports) <= 64000:
        raise LabError(f"--ports takes a number from 1000 to 64000 or none, not {ports}")
    return int(ports)
