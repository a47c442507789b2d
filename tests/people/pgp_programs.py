"""
Other OpenPGP programs on a machine of the lab: encryption, and their own decryption.

A program is a table of shell commands (`pgp_modes.py`). Each reads standard input and writes
standard output, and runs in a directory of the program.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.archive import File

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.machine import Machine

COMMAND_SECONDS = 300
STOP = "cat err >&2; false"

CONTENT = (
    'Content-Type: text/plain; charset="utf-8"\r\n'
    "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße aus einem anderen Programm: 你好\r\n"
).encode()
LARGE = CONTENT + b"".join(b"%064x\r\n" % number for number in range(5000))
INPUTS = {"content": CONTENT, "large": LARGE, "empty": b""}
SECRET = "correct horse battery staple"


@dataclass(frozen=True)
class Mode:
    """One way to encrypt: the command, its input by name, and the command to decrypt."""

    command: str
    content: str = "content"
    decrypt: str = ""


@dataclass(frozen=True, eq=False)
class Program:
    """
    A program's commands.

    `version` prints its version, `setup` makes its keys, and `decrypt` decrypts with them.
    `readable` are commands whose output a relay must refuse, because anyone can read or change it.
    `package` is the Debian package, if some suites lack it.

    A program that starts slowly has a `batch` command, which all its other commands begin with. It
    reads lines of input file, output file and the rest of a command, separated by tabs.
    """

    name: str
    version: str
    setup: str
    encrypting: Mapping[str, Mode]
    decrypt: str
    readable: Mapping[str, str] = field(default_factory=dict)
    package: str = ""
    batch: str = ""

    def prepare(self, machine: Machine) -> str:
        """Make the program's keys; return its version."""
        inputs = {f"{self._place}/{name}": File(data) for name, data in INPUTS.items()}
        inputs |= {f"{self._place}/secret": File(SECRET)}
        machine.unpack(inputs)
        _run(machine, self._place, self.setup)
        said = _run(machine, self._place, self.version).split()
        return next(word for word in said if word[0].isdigit())

    def encrypt(self, machine: Machine) -> dict[str, str]:
        """Run every mode, including the readable ones; return the armor of each."""
        commands = {
            name: f"{mode.command} < {mode.content}" for name, mode in self.encrypting.items()
        }
        commands |= {name: f"{command} < content" for name, command in self.readable.items()}
        return {name: octets.decode() for name, octets in self._each(machine, commands).items()}

    def read(self, machine: Machine, armors: Mapping[str, str]) -> dict[str, bytes]:
        """Decrypt armors by their mode; return each content, or why it could not be decrypted."""
        names = {name: f"armor-{number}" for number, name in enumerate(armors)}
        machine.unpack({f"{self._place}/{names[name]}": File(armors[name]) for name in armors})
        commands = {
            name: f"{self.encrypting[name].decrypt or self.decrypt} < {file}"
            for name, file in names.items()
        }
        return self._each(machine, commands, on_failure="cat err")

    @property
    def _place(self) -> str:
        return f"/root/{self.name.lower().replace(' ', '-')}"

    def _each(
        self, machine: Machine, commands: Mapping[str, str], on_failure: str = STOP
    ) -> dict[str, bytes]:
        """Run commands one after the other; return each output, or that of `on_failure`."""
        if self.batch:
            return self._batched(machine, commands)
        lines = [
            f"({command}) > out 2> err || ({on_failure}) > out || exit 1\nbase64 -w 0 out; echo"
            for command in commands.values()
        ]
        said = _run(machine, self._place, "\n".join(lines)).splitlines()
        return {name: base64.b64decode(line) for name, line in zip(commands, said, strict=True)}

    def _batched(self, machine: Machine, commands: Mapping[str, str]) -> dict[str, bytes]:
        """Run all commands in one process."""
        jobs, names = [], [f"out-{number}" for number in range(len(commands))]
        for command, out in zip(commands.values(), names, strict=True):
            words, _, file = command.removeprefix(f"{self.batch} ").partition(" < ")
            jobs.append(f"{file}\t{out}\t{words}\n")
        machine.unpack({f"{self._place}/jobs": File("".join(jobs))})
        collect = "".join(f"base64 -w 0 {out}; echo\n" for out in names)
        said = _run(machine, self._place, f"{self.batch} batch < jobs\n{collect}").splitlines()
        return {name: base64.b64decode(line) for name, line in zip(commands, said, strict=True)}


def _run(machine: Machine, place: str, script: str) -> str:
    whole = f"set -e\ncd {place}\nexport GNUPGHOME={place}/gnupg\n{script}\n"
    return machine.run(["bash", "-s"], input=whole, timeout=COMMAND_SECONDS).out
