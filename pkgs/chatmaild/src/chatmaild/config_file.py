"""
Reads JSON into frozen dataclasses, strictly.

Keys are camelCase, and attributes snake_case. Nothing has a default. An unknown key, a missing key,
a duplicate key and a value of the wrong type are each a `ConfigError` that names the full key.
"""

import dataclasses
import difflib
import json
import types
import typing
from pathlib import Path
from typing import Any, Literal


class ConfigError(Exception):
    """The configuration cannot be used; the message is one sentence for the operator."""


def parse(path: Path) -> Any:
    """Parse a JSON file; raises `ConfigError` with a sentence that names the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    try:
        return json.loads(text, object_pairs_hook=_object_without_duplicates)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}: is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Reject duplicate keys, of which JSON parsers silently keep the last one."""
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ConfigError(f"key `{key}` is written twice")
        result[key] = value
    return result


def read(kind: Any, value: Any, key: str = "") -> Any:
    """
    Convert a JSON value to `kind`: a dataclass, or a type that its fields may have.

    `key` is the full name of the value for error messages. Raises `ConfigError`.
    """
    if dataclasses.is_dataclass(kind):
        return _read_group(typing.cast("type", kind), value, key)
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return None if value is None else read(typing.get_args(kind)[0], value, key)
    if origin is tuple:
        if not isinstance(value, list):
            raise wrong(key, "a list", value)
        element = typing.get_args(kind)[0]
        return tuple(read(element, item, f"{key}[{i}]") for i, item in enumerate(value))
    if origin is Literal:
        choices = typing.get_args(kind)
        if not isinstance(value, str) or value not in choices:
            raise wrong(key, " or ".join(f"`{choice}`" for choice in choices), value)
        return value
    if kind is Path:
        if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
            raise wrong(key, "an absolute path", value)
        return Path(value)
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(key, "a number", value)
        return float(value)
    names = {str: "a string", int: "a whole number", bool: "true or false"}
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise wrong(key, names[kind], value)
    return value


def _read_group(kind: type, value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        raise wrong(key or "the whole file", "an object", value)
    prefix = f"{key}." if key else ""
    hints = typing.get_type_hints(kind)
    fields = {_camel_case(field.name): field.name for field in dataclasses.fields(kind)}
    for name in value:
        if name not in fields:
            close = difflib.get_close_matches(name, fields, n=1)
            hint = f"; did you mean `{prefix}{close[0]}`?" if close else ""
            raise ConfigError(f"unknown key `{prefix}{name}`{hint}")
    for name in fields:
        if name not in value:
            raise ConfigError(f"missing key `{prefix}{name}`")
    return kind(
        **{
            attribute: read(hints[attribute], value[name], f"{prefix}{name}")
            for name, attribute in fields.items()
        }
    )


def wrong(key: str, wanted: str, value: Any) -> ConfigError:
    """Return the error for a value that is not what the key requires."""
    shown = json.dumps(value, ensure_ascii=False)
    if len(shown) > 60:  # noqa: PLR2004 - keeps the message readable
        shown = shown[:57] + "..."
    return ConfigError(f"`{key}` must be {wanted}, not {shown}")


def _camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
