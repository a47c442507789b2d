"""Mail encrypted by other OpenPGP programs passes, arrives complete, and can be decrypted."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.archive import tree
from harness.kinds import PROGRAMS as PROGRAMS_MACHINE
from harness.places import default_suite
from interop.table import Row
from people import carried, messages
from people.pgp_modes import PROGRAMS, SCRIPTS
from people.pgp_programs import INPUTS, Program

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.lab import Lab
    from harness.machine import Machine
    from harness.relay import Relay
    from people.carried import Outcome
    from people.strangers import Stranger

pytestmark = pytest.mark.timeout(300)

OUT, IN = "out", "in, strict"
NOT_ENCRYPTED = (523, "Encryption Needed: Invalid Unencrypted Mail")


@dataclass
class Run:
    """One program's messages in both directions, and the results of its own decryption."""

    version: str
    outcomes: dict[str, dict[str, Outcome]]
    texts: dict[str, dict[str, bytes]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def programs(lab: Lab) -> Machine:
    """A machine with the OpenPGP programs."""
    machine = lab.machine("programs.test", PROGRAMS_MACHINE)
    machine.unpack(tree(Path(__file__).with_name("programs"), SCRIPTS))
    return machine


@pytest.fixture(scope="module")
def runs(
    programs: Machine, relay: Relay, strict_relay: Relay, correspondent: Stranger
) -> Callable[[Program], Run]:
    """Run a program once, with all its messages in both directions."""

    @cache
    def run(program: Program) -> Run:
        version = program.prepare(programs)
        letters = {
            name: partial(_dressed, armor=armor)
            for name, armor in program.encrypt(programs).items()
        }
        made = Run(
            version,
            {
                OUT: carried.submit(relay, letters),
                IN: carried.deliver(strict_relay, correspondent, letters),
            },
        )
        for direction, outcomes in made.outcomes.items():
            armors = {
                name: carried.encrypted_part(outcome.stored)
                for name, outcome in outcomes.items()
                if name in program.encrypting and outcome.stored
            }
            made.texts[direction] = program.read(programs, armors)
        return made

    def once(program: Program) -> Run:
        if program.package and program.package not in PROGRAMS_MACHINE.packages_of(default_suite()):
            pytest.skip(f"{program.package} is not in Debian {default_suite()}")
        return run(program)

    return once


def _dressed(sender: str, recipient: str, armor: str) -> bytes:
    return messages.pgp_mime(sender, recipient, armor)


def cases(kind: str) -> list[object]:
    """List every program with every mode of a kind."""
    return [
        pytest.param(program, mode, id=f"{program.name}-{mode}")
        for program in PROGRAMS
        for mode in getattr(program, kind)
    ]


@pytest.mark.parametrize("direction", [OUT, IN])
@pytest.mark.parametrize(("program", "mode"), cases("encrypting"))
def test_what_is_encrypted_arrives_and_can_be_decrypted(
    program: Program,
    mode: str,
    direction: str,
    runs: Callable[[Program], Run],
    tried: Callable[[Row], None],
) -> None:
    """The relay may rebuild everything around the packets, but not the packets."""
    run = runs(program)
    tried(Row(program.name, run.version, direction, mode, "decrypted"))
    outcome = run.outcomes[direction][mode]
    assert (outcome.code, outcome.said) == (250, "")
    wanted = INPUTS[program.encrypting[mode].content]
    # Some modes are for text and change its line ends.
    assert run.texts[direction][mode].replace(b"\r\n", b"\n") == wanted.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("direction", [OUT, IN])
@pytest.mark.parametrize(("program", "mode"), cases("readable"))
def test_what_is_not_encrypted_or_not_protected_is_refused(
    program: Program,
    mode: str,
    direction: str,
    runs: Callable[[Program], Run],
    tried: Callable[[Row], None],
) -> None:
    """Anyone could read signed or stored data, and change unprotected data."""
    run = runs(program)
    tried(Row(program.name, run.version, direction, mode, "refused (523)"))
    outcome = run.outcomes[direction][mode]
    assert (outcome.code, outcome.said) == NOT_ENCRYPTED
