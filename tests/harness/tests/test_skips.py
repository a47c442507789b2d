"""A run lists the skipped tests at its end."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from harness import skips
from harness.places import SHARED_VARIABLE

pytest_plugins = ["pytester"]

PLUGIN = ("-p", "harness.skips")
TESTS = """
import pytest

@pytest.mark.skip(reason="no Nix")
@pytest.mark.parametrize("number", range(3))
def test_marked(number):
    pass

def test_decides():
    pytest.skip("no Nix")

def test_other():
    pytest.skip("no camera")

def test_runs():
    pass
"""


def test_each_reason_is_printed_once_with_its_count(pytester: pytest.Pytester) -> None:
    """134 tests were skipped without a printed reason."""
    pytester.makepyfile(test_one=TESTS, test_two=TESTS)

    done = pytester.runpytest_subprocess(*PLUGIN)

    done.assert_outcomes(passed=2, skipped=10)
    done.stdout.fnmatch_lines(["not run: 10 tests*", "     8  no Nix", "     2  no camera"])


def test_a_module_that_is_skipped_as_a_whole_counts(pytester: pytest.Pytester) -> None:
    """Its single report comes from the collection."""
    pytester.makepyfile('import pytest\npytest.importorskip("absent", reason="no camera")')

    done = pytester.runpytest_subprocess(*PLUGIN)

    done.stdout.fnmatch_lines(["     1  no camera"])


def test_labs_that_share_a_run_leave_their_counts(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The last lab prints the sum once."""
    monkeypatch.setenv(SHARED_VARIABLE, str(tmp_path))
    (tmp_path / f"{skips.PREFIX}other").write_text(json.dumps({"no Nix": 2}))
    pytester.makepyfile(TESTS)

    done = pytester.runpytest_subprocess(*PLUGIN)

    assert "not run" not in done.stdout.str()
    assert skips.left_in(tmp_path) == Counter({"no Nix": 6, "no camera": 1})
    assert list(skips.lines(skips.left_in(tmp_path)))[1:] == ["     6  no Nix", "     1  no camera"]


def test_a_run_without_skips_prints_nothing(pytester: pytest.Pytester) -> None:
    """Readers need no line to understand."""
    pytester.makepyfile("def test_it():\n    pass")

    assert "not run" not in pytester.runpytest_subprocess(*PLUGIN).stdout.str()
