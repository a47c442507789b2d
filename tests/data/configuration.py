"""
Write chatmaild.json as rendered by Nix, for chatmaild's unit tests, which have no Nix.

    PYTHONPATH=tests python3 -m data.configuration
"""

from __future__ import annotations

import json
from pathlib import Path

from data.relay_value import Value, evaluate, problems

RENDERED = Path(__file__).resolve().parents[2] / "pkgs/chatmaild/tests/configurations.json"
RENEW = "PYTHONPATH=tests python3 -m data.configuration"

SMALLEST: Value = {
    "domain": "chat.example.org",
    "addresses": {"ipv4": "192.0.2.1", "ipv6": "2001:db8::1"},
}
# The optional parts of a relay.
EVERYTHING: Value = {
    **SMALLEST,
    "dkim": {"ed25519": True},
    "echo": {"enable": True},
    "iroh": {"enable": True},
    "metrics": {"enable": True},
    "turn": {"enable": True},
}


def render() -> str:
    """Return the content of the file: the smallest relay and one with everything, by name."""
    configurations = {}
    for name, settings in (("smallest", SMALLEST), ("everything", EVERYTHING)):
        assert problems(settings) == []
        configurations[name] = evaluate(settings, pick=".chatmaild")
    return json.dumps(configurations, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    RENDERED.write_text(render())
