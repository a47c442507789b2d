"""Claims about chatmaild.json: the daemons' tests read what the value renders."""

from __future__ import annotations

from data.configuration import RENDERED, RENEW, render


def test_the_daemons_are_tested_with_the_configuration_that_the_value_renders() -> None:
    """A copy written by hand would go on passing when a relay's own configuration changes."""
    current = RENDERED.read_text() == render()

    assert current, f"{RENDERED.name} is out of date; run: {RENEW}"
