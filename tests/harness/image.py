"""
Machine images: Debian root file systems with the programs of a kind of machine (`kinds.py`).

Each is built once per suite and cached in a directory that is named by a hash of its inputs, so a
changed list of packages makes a new image. Machines are overlays on it (`machine.py`); a finished
image never changes.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import time
from pathlib import Path

from harness import host, node, progress
from harness.errors import CommandFailedError, FullDiskError, LabError, is_full
from harness.kinds import RELAY, Kind
from harness.pki import authority
from harness.places import CHECKOUT, HARNESS, UNUSED_SECONDS, cache, locked
from harness.process import execute
from harness.process import host as on_host

# fmt: off
# Packages start no services; a machine runs what is enabled on it.
PRESET = "disable *\n"
# These are not needed in a container, and each costs boot time.
MASKED = [
    "console-getty.service", "getty@.service", "systemd-firstboot.service", "ldconfig.service",
    "systemd-journal-catalog-update.service", "systemd-update-done.service",
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "fstrim.timer", "man-db.timer",
]
# fmt: on
JOURNAL = (
    "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nForwardToSyslog=no\nForwardToWall=no\n"
)
# invoke-rc.d(8) asks this program: 101 forbids the action.
NO_DAEMONS = (
    "printf '#!/bin/sh\\nexit 101\\n' > \"$1/usr/sbin/policy-rc.d\"; "
    'chmod 755 "$1/usr/sbin/policy-rc.d"'
)
BUILD_TIMEOUT_SECONDS = 1800


def inputs(suite: str, kind: Kind = RELAY) -> dict[str, object]:
    """Return everything that determines the content of an image."""
    dovecot = [HARNESS / "dovecot.py", CHECKOUT / "pkgs" / "dovecot" / "notify-delay-ms"]
    return {
        "suite": suite,
        "packages": kind.packages_of(suite),
        "preset": PRESET,
        "masked": MASKED,
        "journal": JOURNAL,
        "ca": authority().certificate_text,
        "dovecot": [
            hashlib.sha256(part.read_bytes()).hexdigest()
            for part in dovecot
            if kind is RELAY and part.exists()
        ],
        **({"node": node.key()} if kind.node else {}),
    }


def image(suite: str, kind: Kind = RELAY) -> Path:
    """Return the root directory of an image; build it if it is not cached."""
    key = hashlib.sha256(json.dumps(inputs(suite, kind), sort_keys=True).encode()).hexdigest()[:12]
    shelf = cache() / "images"
    wanted = shelf / f"{suite}-{key}"
    with locked(shelf / f"{suite}.lock"):
        if not wanted.exists():
            _remove_unfinished(shelf, suite)
            what = f"building the image of a machine ({kind.name}, {suite}; once, a minute or two)"
            with progress.step(what):
                _build(suite, kind, wanted)
            _prune(shelf, suite)
        os.utime(wanted)
    return wanted


def _build(suite: str, kind: Kind, wanted: Path) -> None:
    building = wanted.with_name(f".building-{wanted.name}")
    try:
        _install(suite, kind, building)
        _furnish(building, kind)
        if kind is RELAY:
            _patched_dovecot(building, suite)
        if kind.node:
            shutil.copytree(node.modules(), building / node.PLACE, symlinks=True)
        building.rename(wanted)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _install(suite: str, kind: Kind, building: Path) -> None:
    """Create a root file system of Debian packages."""
    packages = ",".join(kind.packages_of(suite))
    # fmt: off
    command = [
        # In a process namespace that ends with unshare, so that ^C leaves no apt or dpkg process.
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
        "mmdebstrap", "--variant=minbase", f"--include={packages}",
        '--aptopt=Acquire::Retries "3"', *host.proxy_options(),
        # Users and units of packages are created in the chroot, but no daemons are started.
        f"--essential-hook={NO_DAEMONS}", '--customize-hook=rm "$1/usr/sbin/policy-rc.d"',
    ]
    # fmt: on
    if suite != "trixie":
        # On a mirror that lags behind, the index of a testing suite expires within days.
        command.append('--aptopt=Acquire::Check-Valid-Until "false"')
    source = host.mirror()
    try:
        on_host([*command, suite, str(building), source], timeout=BUILD_TIMEOUT_SECONDS)
    except CommandFailedError as failure:
        if is_full(failure.output):
            raise FullDiskError(building.parent, "building an image takes up to 1200 MB") from None
        reasons = [line for line in failure.output.splitlines() if line.startswith("E: ")]
        reason = (reasons or ["it said nothing"])[0].removeprefix("E: ")
        raise LabError(
            f"the image of {suite} could not be built from {source} ({reason}); "
            "check that this host reaches its Debian mirror: apt-get update"
        ) from None


def _furnish(root: Path, kind: Kind) -> None:
    """Turn bare packages into a machine that boots quickly and has no identity."""
    (root / "etc/systemd/system-preset").mkdir(parents=True, exist_ok=True)
    (root / "etc/systemd/system-preset/00-lab.preset").write_text(PRESET)
    (root / "etc/systemd/journald.conf.d").mkdir(parents=True, exist_ok=True)
    (root / "etc/systemd/journald.conf.d/lab.conf").write_text(JOURNAL)
    (root / "etc/machine-id").write_text("")
    for name in ("etc/hostname", "etc/resolv.conf"):
        (root / name).unlink(missing_ok=True)
    certificates = root / "usr/local/share/ca-certificates"
    certificates.mkdir(parents=True, exist_ok=True)
    (certificates / "chatmail-lab.crt").write_text(authority().certificate_text)
    _chroot(root, "update-ca-certificates", "--fresh")
    for unit in kind.enabled:
        _chroot(root, "systemctl", "disable", "--quiet", unit, check=False)
    _chroot(root, "systemctl", "mask", "--quiet", *MASKED)
    _chroot(root, "systemctl", "set-default", "--quiet", "multi-user.target")
    for keys in (root / "etc/ssl/private").glob("ssl-cert-snakeoil.key"):
        keys.unlink()  # the same on every machine, so no daemon may depend on it


def _patched_dovecot(root: Path, suite: str) -> None:
    """Replace Debian's Dovecot by that of `harness.dovecot`, if present."""
    if importlib.util.find_spec("harness.dovecot"):
        module = importlib.import_module("harness.dovecot")
        module.apply(root, suite, cache())


def _chroot(root: Path, *command: str, check: bool = True) -> None:
    environment = dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C.UTF-8")
    execute(["chroot", str(root), *command], check=check, timeout=120, environment=environment)


def _remove_unfinished(shelf: Path, suite: str) -> None:
    for leftover in shelf.glob(f".building-{suite}-*"):
        shutil.rmtree(leftover)


def _prune(shelf: Path, suite: str) -> None:
    """Remove images of the suite that were unused for days and have no machines."""
    machines = Path("/run/chatmail-lab").glob("*/machines/*.json")
    used = "".join(record.read_text() for record in machines)
    for old in shelf.glob(f"{suite}-*"):
        idle = time.time() - old.stat().st_mtime
        if old.is_dir() and idle > UNUSED_SECONDS and str(old) not in used:
            shutil.rmtree(old)
