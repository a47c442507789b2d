"""The declared settings, and values for tests."""

from __future__ import annotations

import copy
from typing import Any

from data.relay_value import Value

GOOD: Value = {"domain": "chat.example.org"}

# For each kind, a value that differs from all defaults.
OTHER: dict[str, object] = {
    "int": 7,
    "days": 6,
    "bytes": "100M",
    "text": "somebody",
    "mail": "somebody@example.net",
    "url": "https://push.example.net/notify",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "path": "/srv/somewhere",
    "publicPath": "/srv/somewhere",
}


def leaves(tree: Value, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Value]]:
    """Return every declared setting with its path."""
    if isinstance(tree.get("kind"), str):
        return [(path, tree)]
    return [leaf for name in tree for leaf in leaves(tree[name], (*path, name))]


def other(declaration: Value) -> object:
    """Return a valid value that is not the default."""
    match declaration["kind"]:
        case "bool":
            return not declaration["default"]
        case "enum":
            return next(v for v in declaration["values"] if v != declaration["default"])
        case "int" if declaration["min"] > 7:
            return int(declaration["default"]) + 1
        case kind:
            return OTHER[kind]


def with_setting(path: tuple[str, ...], value: object) -> Value:
    """Return GOOD with one setting changed."""
    settings: Any = copy.deepcopy(GOOD)
    inner = settings
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
    inner[path[-1]] = value
    return settings  # type: ignore[no-any-return]
