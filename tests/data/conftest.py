"""Fixtures for claims about the value of a relay: it is evaluated, nothing is started."""

from __future__ import annotations

import pytest

from data.relay_value import Value, evaluate


@pytest.fixture(scope="session")
def value() -> Value:
    """The value of a relay with nothing but its domain set."""
    found: Value = evaluate({"domain": "chat.example.org"})
    return found
