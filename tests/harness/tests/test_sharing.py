"""Tests of several labs that share one test run."""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from pathlib import Path

import pytest

from harness.places import SHARED_VARIABLE
from harness.process import wait_until

pytest_plugins = ["pytester"]

PLUGIN = ("-p", "harness.sharing")
# Each test records its name.
NOTING = """
import pathlib, pytest
{mark}
@pytest.mark.parametrize("number", range(3))
def test_it(number, request):
    with open({notes!r}, "a") as notes:
        notes.write(request.node.nodeid + chr(10))
    assert {wanted}
"""
MARK = "pytestmark = pytest.mark.alone"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which files are claimed."""
    directory = tmp_path / "claims"
    directory.mkdir()
    monkeypatch.setenv(SHARED_VARIABLE, str(directory))
    return directory


def files(
    pytester: pytest.Pytester, notes: Path, *names: str, mark: str = "", wanted: str = "True"
) -> None:
    """Create files with three tests each."""
    for name in names:
        text = NOTING.format(mark=mark, notes=str(notes), wanted=wanted)
        pytester.makepyfile(**{name: text})


def test_every_test_is_run_once(pytester: pytest.Pytester, place: Path, tmp_path: Path) -> None:
    """One lab or another runs it, whole files at a time."""
    notes = tmp_path / "notes"
    files(pytester, notes, *(f"test_{letter}" for letter in "abcdefgh"))
    files(pytester, notes, "test_y", "test_z", mark=MARK)

    command = pytester._getpytestargs()  # noqa: SLF001 (popen takes a whole command)
    labs = [pytester.popen([*command, *PLUGIN]) for _ in "12"]

    assert [lab.wait(60) for lab in labs] == [0, 0]
    run = Counter(notes.read_text().split())
    assert len(run) == 30
    assert set(run.values()) == {1}
    assert len(list(place.glob("[0-9]*"))) == 10


def test_files_taken_by_another_lab_are_not_run(
    pytester: pytest.Pytester, place: Path, tmp_path: Path
) -> None:
    """It may be the first file, or the last."""
    notes = tmp_path / "notes"
    files(pytester, notes, "test_a", "test_b", "test_c")
    for number in "02":
        (place / number).touch()

    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=3)

    assert {line.partition(":")[0] for line in notes.read_text().split()} == {"test_b.py"}


def test_a_failure_is_reported(pytester: pytest.Pytester, place: Path, tmp_path: Path) -> None:
    """The exit status is the worst of all labs."""
    assert place
    files(pytester, tmp_path / "notes", "test_a", wanted="number != 1")

    done = pytester.runpytest_subprocess(*PLUGIN)

    done.assert_outcomes(passed=2, failed=1)
    assert done.ret == pytest.ExitCode.TESTS_FAILED


def test_tests_that_measure_time_wait_for_the_others(
    pytester: pytest.Pytester, place: Path, tmp_path: Path
) -> None:
    """Another lab's relays would use the CPU."""
    notes, done = tmp_path / "notes", tmp_path / "done"
    files(pytester, notes, "test_a", mark=MARK, wanted=f"pathlib.Path({str(done)!r}).exists()")
    files(pytester, notes, "test_b")
    with (place / "running").open("a") as running:
        fcntl.flock(running, fcntl.LOCK_SH)
        lab = pytester.popen([*pytester._getpytestargs(), *PLUGIN])  # noqa: SLF001
        # proc_locks(5): `->` marks a lock that is waited for.
        waiting = f":{os.fstat(running.fileno()).st_ino} "
        wait_until(
            lambda: any(
                " -> " in line and waiting in line
                for line in Path("/proc/locks").read_text().splitlines()
            ),
            "the lab waits for the others",
            timeout=30,
        )
        done.touch()

    assert lab.wait(30) == 0
    assert notes.read_text().split()[0].startswith("test_b.py")
    assert len(notes.read_text().split()) == 6
