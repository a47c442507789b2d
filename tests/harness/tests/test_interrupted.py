"""
A lab that is interrupted, killed or refused leaves nothing that the next command cannot handle.

The commands run as from a shell, in another lab of this checkout.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import nspawn
from harness.machine import machines, records
from harness.network import NETNS
from harness.places import CHECKOUT, NUMBER_VARIABLE, disks, lab_id, namespace
from harness.process import HOST_PID_VARIABLE, host, host_path, on_host, wait_until

pytestmark = pytest.mark.timeout(300)

OTHER_LAB = "9"
INTERRUPTED = 130
MACHINE = "_chat.test"
SLOW = """
def test_it(lab):
    lab.machine("own.test")
    (lab.machine("own.test").disk / "testing").touch()
    lab.machine("own.test").run(["sleep", "1000"])
"""


@pytest.fixture(autouse=True)
def other_lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inspect another lab than the one that runs the tests."""
    monkeypatch.setenv(NUMBER_VARIABLE, OTHER_LAB)
    yield
    assert lab("down").returncode == 0


def command(*arguments: str) -> list[str]:
    """Return the host command `tests/lab` with these arguments, in the other lab."""
    # Not the clients' Python, which runs this test.
    own = str(Path(sys.executable).parent)
    path = ":".join(place for place in os.environ["PATH"].split(":") if place != own)
    without = [f"--unset={name}" for name in (HOST_PID_VARIABLE, "PYTHONPATH", "PYTEST_VERSION")]
    return on_host(["env", *without, f"PATH={path}", str(CHECKOUT / "tests" / "lab"), *arguments])


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the lab to its end."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, timeout=120
    )


def begin(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command of the lab as a shell does, in its own process group."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command(*arguments), stdout=output, stderr=output, start_new_session=True
        )


def left() -> list[str]:
    """Return the remains of the other lab."""
    names = [path.name for path in host_path(NETNS).glob(namespace("*"))]
    groups = nspawn.control_group("")
    if groups:
        shelf = host_path(Path(groups))
        names += [path.name for path in shelf.parent.glob(f"{shelf.name}*")]
    names += list(machines())
    if disks().exists():
        names.append(str(disks()))
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if f"chatmail-{lab_id()}" in words or f"--machine={lab_id()}" in words:
            names.append(words.replace("\0", " "))
    return names


def console(number: int) -> Path:
    """Return what a machine writes as soon as it boots."""
    return disks() / namespace(f"m{number}") / nspawn.CONSOLE


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "the network is made": lambda _: (host_path(NETNS) / namespace("bridge")).exists(),
    "the name server is recorded": lambda _: (records() / "dns.json").exists(),
    "the name server boots": lambda _: console(53).exists(),
    "a relay is recorded": lambda _: (records() / f"{MACHINE}.json").exists(),
    "a relay boots": lambda _: console(10).exists(),
    "clients talk": lambda log: b"Delta Chat core through" in log.read_bytes(),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted_up_leaves_nothing(tmp_path: Path, moment: str) -> None:
    """Unrecorded machines made `down` and the next `up` fail."""
    log = tmp_path / "log"
    started = begin(log, "up", "--ports", "none")
    wait_until(lambda: MOMENTS[moment](log), moment, timeout=60, step=0.001)

    os.killpg(started.pid, signal.SIGINT)

    assert (started.wait(60), log.read_text().count("Traceback")) == (INTERRUPTED, 0)
    assert left() == []


def test_repeated_interrupts_leave_nothing(tmp_path: Path) -> None:
    """People press ^C more than once."""
    log = tmp_path / "log"
    started = begin(log, "up", "--ports", "none")
    wait_until(lambda: MOMENTS["a relay boots"](log), "a relay boots", timeout=60, step=0.001)

    while started.poll() is None:
        os.killpg(started.pid, signal.SIGINT)
        try:
            started.wait(0.05)
        except subprocess.TimeoutExpired:
            continue

    assert left() == []


@pytest.mark.parametrize(
    ("moment", "following"), [("the name server boots", "up"), ("a relay boots", "down")]
)
def test_later_commands_clean_up_after_a_killed_up(
    tmp_path: Path, moment: str, following: str
) -> None:
    """Even after SIGKILL, no one has to look for processes."""
    log = tmp_path / "log"
    started = begin(log, "up", "--ports", "none")
    wait_until(lambda: MOMENTS[moment](log), moment, timeout=60, step=0.001)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait(10)
    assert left() != []

    done = lab(following, *(["--ports", "none"] if following == "up" else []))

    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    if following == "down":
        assert left() == []


@pytest.mark.parametrize("moment", ["boots", "is used"])
def test_interrupted_tests_leave_nothing(tmp_path: Path, moment: str) -> None:
    """Pytest is interrupted, and then the lab is removed."""
    tmp_path.chmod(0o755)
    (tmp_path / "test_slow.py").write_text(SLOW)
    log = tmp_path / "log"
    started = begin(log, "test", str(tmp_path / "test_slow.py"))
    seen = console(10) if moment == "boots" else console(10).with_name("testing")
    wait_until(seen.exists, f"the machine {moment}", timeout=60, step=0.001)

    os.killpg(started.pid, signal.SIGINT)

    assert started.wait(60) != 0
    assert "KeyboardInterrupt" in log.read_text()
    assert left() == []


def test_an_interrupted_benchmark_leaves_nothing(tmp_path: Path) -> None:
    """It is one of the longest commands."""
    log = tmp_path / "log"
    started = begin(log, "bench", "--quick", "--only", "push")
    wait_until(lambda: MOMENTS["a relay boots"](log), "a relay boots", timeout=60, step=0.001)

    os.killpg(started.pid, signal.SIGINT)

    assert started.wait(60) != 0
    assert left() == []


@pytest.mark.parametrize("domain", ["UPPER.test", "no-dot", "10.0.0.1", "a..test"])
def test_a_refused_domain_starts_nothing(domain: str) -> None:
    """The name server stayed up."""
    done = lab("up", "--ports", "none", domain)

    assert done.returncode == 1
    assert domain in done.stderr
    assert left() == []


def test_a_full_disk_is_reported() -> None:
    """It was reported as an unreachable mirror."""
    with tempfile.TemporaryDirectory() as place:
        host(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place])
        try:
            environment = dict(os.environ, XDG_CACHE_HOME=place)
            done = subprocess.run(
                command("image"),
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
        finally:
            host(["umount", place])

    assert done.returncode == 1
    assert "is full" in done.stderr
    assert "mirror" not in done.stderr
