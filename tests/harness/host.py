"""
The host's requirements: root, Debian, and a few packages, which are installed if missing.

Works on Debian 12 and 13, with any init system and any layout of control groups.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from pathlib import Path

from harness import progress
from harness.errors import CommandFailedError, LabError
from harness.process import execute, on_host

# command -> Debian package
COMMANDS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nix-instantiate": "nix-bin",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "openssl": "openssl",
    "tar": "tar",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Another apt (an unattended upgrade, say) may hold the lock for minutes.
APT_LOCK_SECONDS = 300
APT_TIMEOUT_SECONDS = 900


def check_root() -> None:
    """Raise LabError unless this runs as root."""
    if os.geteuid() != 0:
        raise LabError(
            "the lab makes network namespaces and mounts and so needs root; run it with sudo"
        )


def missing_packages() -> list[str]:
    """Return the Debian packages that must be installed before the lab can run."""
    missing = {package for command, package in COMMANDS.items() if not shutil.which(command)}
    if not KEYRING.exists():
        missing.add("debian-archive-keyring")
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        missing.add("python3-venv")
    return sorted(missing)


def prepare() -> None:
    """Check the host, install missing packages, and raise kernel limits."""
    check_root()
    if not shutil.which("apt-get"):
        raise LabError(
            "this host has no apt-get; the lab runs on Debian 12 or 13 (a virtual machine will do)"
        )
    if os.uname().machine not in ("x86_64", "aarch64"):
        raise LabError(
            f"no Delta Chat core is published for {os.uname().machine}; use an amd64 or arm64 host"
        )
    packages = missing_packages()
    if packages:
        with progress.step(f"installing {', '.join(packages)}"):
            install(packages)
        still = missing_packages()
        if still:
            raise LabError(
                f"apt-get installed {', '.join(still)}, yet the commands are not in PATH"
            )
    if not _has_filesystem("overlay"):
        raise LabError("this kernel has no overlay file system; load it with: modprobe overlay")


def prepare_check() -> None:
    """Install what `check` needs; without root, continue with what is installed."""
    if os.geteuid() == 0:
        prepare()
    elif "python3-venv" in missing_packages():
        raise LabError(
            "ruff and mypy need Python's venv, which is missing; install it with: "
            "sudo apt-get install python3-venv"
        )


def install(packages: list[str]) -> None:
    """Install Debian packages non-interactively."""
    command = ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={APT_LOCK_SECONDS}"]
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", NEEDRESTART_SUSPEND="1")
    wanted = [*command, "install", "-y", "--no-install-recommends", *packages]
    try:
        _apt(wanted, environment)
    except CommandFailedError:
        pass  # the package lists may be missing or older than the mirror
    else:
        return
    try:
        _apt([*command, "update"], environment)
        _apt(wanted, environment)
    except CommandFailedError as failure:
        last = (failure.output.strip().splitlines() or ["it said nothing"])[-1]
        raise LabError(
            f"apt-get could not install {', '.join(packages)} ({last}); "
            "check the network and /etc/apt, or install them by hand"
        ) from None


def _apt(command: list[str], environment: dict[str, str]) -> None:
    """Run apt-get; after ^C it ends by itself, without half-installed packages."""
    execute(
        on_host(command),
        timeout=APT_TIMEOUT_SECONDS,
        environment=environment,
        ending=signal.SIGINT,
    )


def mirror() -> str:
    """Return the Debian mirror of this host, according to apt."""
    codename = _os_release("VERSION_CODENAME")
    for attempt in range(2):
        targets = execute(
            [
                "apt-get",
                "indextargets",
                "--format",
                "$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)",
                "Created-By: Packages",
            ]
        ).out
        for line in targets.splitlines():
            uri, release, component, *origin = line.split()
            if release == codename and component == "main" and origin == ["Debian"]:
                return uri
        if attempt == 0:  # the origin is known only after an update
            execute(
                ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={APT_LOCK_SECONDS}", "update"],
                check=False,
                timeout=APT_TIMEOUT_SECONDS,
            )
    raise LabError(
        f"apt knows no Debian mirror with `{codename} main`; "
        "the lab needs a Debian host with a mirror in /etc/apt"
    )


def proxy_options() -> list[str]:
    """Return the host's apt proxy settings as mmdebstrap options."""
    lines = execute(["apt-config", "dump"]).out.splitlines()
    return [
        f"--aptopt={line.strip()}"
        for line in lines
        if line.startswith(("Acquire::http::Proxy ", "Acquire::https::Proxy "))
    ]


def raise_limit(key: str, value: int) -> None:
    """Raise a kernel limit, which machines share with the host; it is not lowered again."""
    path = Path("/proc/sys") / key.replace(".", "/")
    if int(path.read_text()) < value:
        progress.say(
            f"· raising the host's {key} to {value}, which machines share (until its next boot)"
        )
        path.write_text(str(value))


def _has_filesystem(name: str) -> bool:
    listed = Path("/proc/filesystems")
    if name in listed.read_text().split():
        return True
    if shutil.which("modprobe"):
        execute(["modprobe", name], check=False)
    return name in listed.read_text().split()


def _os_release(key: str) -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == key:
            return value.strip('"')
    raise LabError(f"/etc/os-release has no {key}; the lab runs on Debian 12 or 13")
