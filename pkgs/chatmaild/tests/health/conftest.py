"""The configuration of a relay whose files are in the test's directory."""

import json
from pathlib import Path
from typing import Any

import pytest

from chatmaild.config import Config, load
from chatmaild.health.checks import Look


@pytest.fixture
def config(tmp_path: Path, settings: dict[str, Any]) -> Config:
    """Load the configuration."""
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    return load(path)


@pytest.fixture
def look(config: Config) -> Look:
    """Check as root."""
    return Look(config, as_root=True)
