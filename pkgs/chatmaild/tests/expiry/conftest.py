import json
from pathlib import Path
from typing import Any

import pytest

from chatmaild.config import Config, load


@pytest.fixture
def config(settings: dict[str, Any], tmp_path: Path) -> Config:
    """Return the settings of a relay in the test's directory, with existing mailboxes."""
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    config = load(path)
    config.paths.mailboxes.mkdir()
    return config
