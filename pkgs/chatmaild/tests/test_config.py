import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from chatmaild.config import ConfigError, is_address, load
from conftest import RENDERED


def write(tmp_path: Path, value: object) -> Path:
    """Write a configuration file."""
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(value))
    return path


def spoiled(settings: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    """Return the settings with one full key replaced; `...` removes it."""
    result: dict[str, Any] = copy.deepcopy(settings)
    *groups, last = key.split(".")
    group = result
    for name in groups:
        group = group[name]
    if value is ...:
        del group[last]
    else:
        group[last] = value
    return result


def test_maps_keys_to_attributes(tmp_path: Path, settings: dict[str, Any]) -> None:
    """All daemons read the same names, whatever the spelling in the file."""
    config = load(write(tmp_path, settings))

    assert config.domain == "chat.example.org"
    assert config.accounts.name_min_length == 9
    assert config.sending.per_minute == 60
    assert config.admission.max_load == 0.0
    assert config.metadata.iroh_relay is None
    assert config.dns[0].need == "required"
    assert "postfix.service" in config.units
    assert config.dkim[0].file == tmp_path / "dkim.pem"


@pytest.mark.parametrize("name", ["smallest", "everything"])
def test_reads_the_rendered_configurations(tmp_path: Path, name: str) -> None:
    """There is no unknown or missing key, with or without each optional part."""
    config = load(write(tmp_path, RENDERED[name]))

    assert (config.echo is None) == (config.metrics is None) == (name == "smallest")


def test_cannot_be_changed_after_reading(tmp_path: Path, settings: dict[str, Any]) -> None:
    """A value that changes at run time would make two daemons disagree."""
    config = load(write(tmp_path, settings))

    with pytest.raises(dataclasses.FrozenInstanceError):
        config.domain = "other.example"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        (
            "sending.perMinut",
            60,
            "unknown key `sending.perMinut`; did you mean `sending.perMinute`?",
        ),
        ("zzz", 1, "unknown key `zzz`"),
        ("sending.perMinute", ..., "missing key `sending.perMinute`"),
        ("paths", ..., "missing key `paths`"),
        ("paths", [], "`paths` must be an object, not []"),
        ("sending.perMinute", "60", '`sending.perMinute` must be a whole number, not "60"'),
        ("sending.perMinute", 1.5, "`sending.perMinute` must be a whole number, not 1.5"),
        ("sending.perMinute", True, "`sending.perMinute` must be a whole number, not true"),
        ("sending.perMinute", None, "`sending.perMinute` must be a whole number, not null"),
        ("incoming.cleartext", 1, "`incoming.cleartext` must be true or false, not 1"),
        ("admission.maxLoad", "5", '`admission.maxLoad` must be a number, not "5"'),
        ("registration", "opne", 'must be `open` or `invite` or `closed`, not "opne"'),
        ("registration", ["open"], 'must be `open` or `invite` or `closed`, not ["open"]'),
        (
            "certificate.source",
            "none",
            '`certificate.source` must be `acme` or `files` or `self-signed`, not "none"',
        ),
        ("paths.nocreate", "no", '`paths.nocreate` must be an absolute path, not "no"'),
        ("dkim", [{"selector": "a"}], "missing key `dkim[0].kind`"),
        ("domain", "", "`domain` must be `chat.example.org`, because of `host`, not"),
        ("host", "192.0.2.1", "`domain` must be `[192.0.2.1]`, because of `host`, not"),
        ("host", "other.example", "`domain` must be `other.example`, because of `host`, not"),
        ("addresses.ipv4", 7, "`addresses.ipv4` must be a string, not 7"),
        ("units", ["a", 1], "`units[1]` must be a string, not 1"),
        ("dns", [{"name": "a."}], "missing key `dns[0].type`"),
        ("metadata.turn", 1, "`metadata.turn` must be an object, not 1"),
    ],
)
def test_names_the_file_and_the_full_key(
    tmp_path: Path, settings: dict[str, Any], key: str, value: object, sentence: str
) -> None:
    """The operator must find the line to change without reading the source code."""
    path = write(tmp_path, spoiled(settings, key, value))

    with pytest.raises(ConfigError) as caught:
        load(path)

    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not JSON: Expecting value in line 1, column 1"),
        (b'{"domain": ', "is not JSON"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[]", "`the whole file` must be an object, not []"),
        (b'{"domain": "a", "domain": "b"}', "key `domain` is written twice"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
    ids=["empty", "truncated", "not-utf8", "list", "duplicate", "deep"],
)
def test_refuses_a_file_that_is_not_a_configuration(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    """A truncated or foreign file is distinguished from a wrong value."""
    path = tmp_path / "chatmaild.json"
    path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load(path)

    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)


def test_says_why_the_file_cannot_be_read(tmp_path: Path) -> None:
    """A missing file is the most likely mistake."""
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        load(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", True),
        ("chat.example.org", False),
        ("_t.example", False),
        ("192.0.2.007", False),
        ("192.0.2", False),
        ("[192.0.2.7]", False),
        ("2001:db8::1", False),
    ],
)
def test_distinguishes_an_address_from_a_name(host: str, *, address: bool) -> None:
    """A relay at an IP address has no DNS: no DKIM key, and its peers compare addresses instead."""
    assert is_address(host) is address
