"""Checks the relay's units as systemd sees them."""

import subprocess
from collections.abc import Iterator, Sequence

from chatmaild.health.checks import Check, Look

# systemd answers quickly, except during boot and while the machine swaps.
COMMAND_SECONDS = 5.0
PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState", "Type", "Result", "User", "NRestarts")


def check(look: Look) -> Iterator[Check]:
    """Report each unit that does not run, or that all of them do."""
    names = look.config.units
    try:
        found = show(names)
    except OSError as error:
        yield Check("units", "unknown", f"systemd does not answer: {error}")
        return
    wrong = [one for name, block in zip(names, found, strict=False) if (one := _fault(name, block))]
    yield from wrong
    if not wrong:
        yield Check("units", "ok", f"all {len(names)} run, or have done their work")


def show(names: Sequence[str]) -> list[dict[str, str]]:
    """
    Ask systemd about units; return their properties in the order of the names.

    Raises:
        OSError: `systemctl` is missing, fails, or takes longer than five seconds.

    """
    if not names:
        return []
    command = ["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *names]
    try:
        output = subprocess.run(  # noqa: S603 - a fixed program, names from the configuration
            command, capture_output=True, text=True, check=True, timeout=COMMAND_SECONDS
        ).stdout
    except subprocess.TimeoutExpired:
        raise OSError(f"no answer within {COMMAND_SECONDS:g} s") from None
    except subprocess.CalledProcessError as error:
        raise OSError(" ".join(error.stderr.split())[:200]) from None
    # One block per unit; Id may be another name of the unit.
    return [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in output.strip().split("\n\n")
    ]


def _fault(name: str, properties: dict[str, str]) -> Check | None:
    state, sub = properties.get("ActiveState", "unknown"), properties.get("SubState", "unknown")
    journal = f"`journalctl -u {name}` has the reason"
    if properties.get("LoadState") != "loaded":
        return Check(
            name,
            "wrong",
            f"is not installed ({properties.get('LoadState', 'unknown')})",
            "install the relay's configuration again (`nixos-rebuild switch`)",
        )
    if properties.get("Type") == "oneshot" and properties.get("Result") == "success":
        # It has finished its work, is doing it, or will do it later.
        if state in {"active", "inactive", "activating"}:
            return None
    elif state in {"active", "reloading"}:
        return None
    if sub == "auto-restart":
        text = f"fails repeatedly ({properties.get('NRestarts', '?')} restarts)"
        return Check(name, "wrong", text, journal)
    remedy = f"`systemctl start {name}`; {journal}"
    return Check(name, "wrong", f"does not run: {state} ({sub})", remedy)
