"""Fixtures for tests of the relay's value, which is evaluated without starting anything."""

from __future__ import annotations

import pytest

from data.relay_value import Value, evaluate


@pytest.fixture(scope="session")
def value() -> Value:
    """The value of a relay with only its domain set."""
    found: Value = evaluate({"domain": "chat.example.org"})
    return found
