"""Runs tests on each release of NixOS, and skips those whose requirements are missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nixos import evaluation
from nixos.evaluation import Nixpkgs

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module", params=evaluation.places(), ids=lambda place: place.release)
def nixpkgs(request: pytest.FixtureRequest) -> Iterator[Nixpkgs]:
    """The release and the lib with which `nix` evaluates."""
    before, evaluation.current[0] = evaluation.current[0], request.param
    yield request.param
    evaluation.current[0] = before


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what cannot run here."""
    has_lab = config.pluginmanager.hasplugin("harness.pytest_plugin")
    for item in items:
        if item.path.parent != HERE:
            continue
        if not has_lab and "lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="needs the lab; run it with: tests/lab test"))
