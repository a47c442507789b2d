"""A test that keeps the benchmark working."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.chat import ANNOUNCED
from bench.pipeline import VARIANTS
from harness.lab import Lab


@pytest.mark.timeout(600)
def test_the_quick_benchmark_measures_everything_it_prints(lab: Lab, tmp_path: Path) -> None:
    """Machines differ, so no time is asserted, but all figures exist and all mail arrives."""
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stderr
    for name in ANNOUNCED:
        assert name in done.stdout
    measured = json.loads(figures.read_text())
    assert set(measured["chat"]) == {"no delay", "25 ms"}
    for case in measured["pipeline"]["cases"]:
        assert all(case["rates"][variant] for variant in VARIANTS)
        assert all(result["latencies"] for results in case["chains"].values() for result in results)
    assert measured["pipeline"]["row"]["latencies"]
    assert all(one["latencies"] for one in measured["push"])
    night = measured["expiry"]["nights"][0]
    assert night["mailboxes"] >= 50
    assert night["removed"] == 25
    assert measured["expiry"]["meanwhile"]
