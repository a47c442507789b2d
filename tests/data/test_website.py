"""Tests of the website's HTTP headers."""

from __future__ import annotations

import re

import pytest

from data.relay_value import Value, evaluate


def policy(settings: Value) -> dict[str, str]:
    """Return the directives of the Content-Security-Policy that nginx sends."""
    text = evaluate(settings, pick='.rendered.files."/etc/nginx/nginx.conf".text')
    found = set(re.findall(r'add_header Content-Security-Policy "([^"]+)"', text))
    assert len(found) == 1
    parts = [part.strip().split(" ", 1) for part in found.pop().split(";")]
    return dict(parts)


@pytest.mark.parametrize("domain", ["chat.example.org", "_lab.test"])
def test_pages_without_script_allow_none(domain: str) -> None:
    """Scripts are allowed only where they are needed."""
    allowed = policy({"domain": domain})

    assert allowed["default-src"] == "'none'"
    assert "script-src" not in allowed


def test_the_script_that_fetches_a_login_may_run_where_it_is_needed() -> None:
    """The page's own policy blocked the button of a self-signed public relay."""
    settings = {"domain": "chat.example.org", "certificate": {"source": "self-signed"}}

    allowed = policy(settings)

    assert allowed["script-src"] == allowed["connect-src"] == "'self'"
