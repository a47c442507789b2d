"""Tests of what `tests/lab test` adds to pytest."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.lab import Lab
from harness.machine import machines

pytest_plugins = ["pytester"]
# pytester sets another home directory, which has no image.
HOME = Path.home()

FIXTURES = """
import pytest

@pytest.fixture(scope="session")
def shared(lab):
    return lab.machine("shared.test")
"""
FIRST = """
def test_boots(lab, shared):
    lab.machine("own.test")

def test_finds(lab):
    from harness.machine import machines
    assert machines()["own.test"].running()
"""
SECOND = """
def test_finds(lab):
    from harness.machine import machines
    assert machines()["shared.test"].running()
    assert machines()["before.test"].running()
    assert "own.test" not in machines()
"""


def test_the_machines_of_a_file_are_removed_after_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, lab: Lab
) -> None:
    """With all of them, the lab was full before the last file began."""
    monkeypatch.setenv("HOME", str(HOME))
    lab.machine("before.test")
    pytester.makeconftest(FIXTURES)
    pytester.makepyfile(test_first=FIRST, test_second=SECOND)

    done = pytester.runpytest_subprocess("-p", "harness.pytest_plugin", f"--suite={lab.suite}")

    done.assert_outcomes(passed=3)
    for name in ("before.test", "shared.test"):
        lab.stop(machines()[name])
