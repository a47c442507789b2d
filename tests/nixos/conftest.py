"""Skips tests whose requirements are missing, and says how to get them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nixos.evaluation import find_lib, how_to_get_lib

HERE = Path(__file__).resolve().parent
# These test only Python code.
NEED_NO_LIB = ("test_plugin.py",)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what cannot run here."""
    has_lab = config.pluginmanager.hasplugin("harness.pytest_plugin")
    has_lib = find_lib() is not None
    for item in items:
        if item.path.parent != HERE:
            continue
        if not has_lib and item.path.name not in NEED_NO_LIB:
            item.add_marker(pytest.mark.skip(reason=how_to_get_lib()))
        elif not has_lab and "lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="needs the lab; run it with: tests/lab test"))
