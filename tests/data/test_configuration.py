"""Tests of chatmaild.json: the daemons' tests read what Nix renders."""

from __future__ import annotations

from data.configuration import RENDERED, RENEW, render


def test_the_unit_tests_use_the_rendered_configuration() -> None:
    """A copy written by hand would keep passing when a relay's real configuration changes."""
    current = RENDERED.read_text() == render()

    assert current, f"{RENDERED.name} is out of date; run: {RENEW}"
