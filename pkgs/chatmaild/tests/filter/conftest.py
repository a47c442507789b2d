"""A running filter."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .running_filter import MAX_SIZE, Filter, start


@pytest.fixture
def limits(settings: dict[str, Any]) -> dict[str, Any]:
    """Provide settings that allow many messages and small sizes."""
    settings["sending"] = {"perMinute": 1, "burst": 1000, "maxRecipients": 3}
    settings["message"] = {"maxSize": MAX_SIZE}
    settings["incoming"] = {"cleartext": False}
    return settings


@pytest.fixture
def running(tmp_path: Path, limits: dict[str, Any]) -> Iterator[Filter]:
    """Provide a running filter that refuses incoming cleartext."""
    instance = start(tmp_path, limits)
    yield instance
    instance.process.kill()
    instance.process.communicate()
