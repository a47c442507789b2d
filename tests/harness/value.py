"""
A relay as a value: settings go in, and everything that a machine must contain and run comes out.

The host's Nix evaluates `modules/relay` in restricted mode: no NIX_PATH, no network, and no other
files of the host. Differences of the lab from a Debian host (its own root servers) are passed as
the value's `override`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.archive import File
from harness.dns import HINTS, UNBOUND_IN_THE_LAB
from harness.errors import CommandFailedError, LabError
from harness.places import RELAY_VALUE
from harness.process import execute

Settings = Mapping[str, Any]

LAB_PEERS = [
    "192.0.2.0-192.0.2.255",
    "2001:db8::-2001:db8:0:0:ffff:ffff:ffff:ffff",
]
HINTS_FILE = "/etc/unbound/lab.hints"
OVERRIDE = {
    "unbound": {"rootHints": HINTS_FILE, "trustAnchorFile": None},
    # The lab's network uses documentation addresses, which do not exist elsewhere.
    "turn": {"allowedPeers": LAB_PEERS},
}
EXPRESSION = """
{ input }:
let
  given = builtins.fromJSON input;
  value = import <relay> { inherit (given) settings override; };
in
if value.problems != [ ] then { inherit (value) problems; }
else {
  inherit (value) problems ports sysctl chatmaild;
  inherit (value.rendered) files enable reads;
}
"""


@dataclass(frozen=True)
class Value:
    """
    The parts of a relay's value that the harness uses.

    `host` is its name or IP address, `daemons` the content of chatmaild.json, and `units` what is
    enabled at boot: the relay's own units, and Debian's that belong to a relay. `reads` names the
    files that each unit reads when it starts. Ports are by service name.
    """

    host: str
    files: dict[str, File]
    units: tuple[str, ...]
    reads: dict[str, list[str]]
    ports: dict[str, int]
    sysctl: dict[str, int]
    daemons: dict[str, Any]


def evaluate(settings: Settings) -> Value:
    """
    Evaluate the relay of these settings.

    Raises LabError with the value's own messages if there are `problems`.
    """
    given = json.dumps({"settings": settings, "override": OVERRIDE})
    command = ["nix-instantiate", "--eval", "--strict", "--json"]
    command += ["--option", "restrict-eval", "true", "-I", f"relay={RELAY_VALUE}"]
    try:
        said = execute([*command, "--argstr", "input", given, "--expr", EXPRESSION]).out
    except CommandFailedError as failure:
        raise LabError(f"the value of the relay does not evaluate:\n{failure.output}") from None
    value = json.loads(said)
    if value["problems"]:
        raise LabError("these settings make no relay: " + " ".join(value["problems"]))
    files = {
        path: File(entry["text"], mode=entry.get("mode", "0644"))
        for path, entry in value["files"].items()
    }
    return Value(
        host=value["chatmaild"]["host"],
        files=files | _lab_files(files),
        units=tuple(value["enable"]),
        reads=value["reads"],
        ports=value["ports"],
        sysctl=value["sysctl"],
        daemons=value["chatmaild"],
    )


def _lab_files(files: Mapping[str, File]) -> dict[str, File]:
    """Make the relay's resolver use the lab's root, even for names that it would answer itself."""
    unbound = files["/etc/unbound/unbound.conf"]
    return {
        "/etc/unbound/unbound.conf": File(f"{unbound.text!s}{UNBOUND_IN_THE_LAB}"),
        HINTS_FILE: File(HINTS),
    }
