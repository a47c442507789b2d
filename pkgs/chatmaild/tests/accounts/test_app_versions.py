import json
import logging
from pathlib import Path
from typing import Any

import pytest

from chatmaild.accounts.app_versions import AppVersions, VersionsError, one_line


def good() -> dict[str, Any]:
    """Return a valid value."""
    return {
        "clients": [
            {
                "clientId": "deltachat-android",
                "sources": [
                    {
                        "sourceId": "apk",
                        "versionInteger": 4294967295,
                        "versionString": "2.65.0",
                        "downloadUrl": "https://download.delta.chat/android/a.apk",
                    }
                ],
            }
        ]
    }


def with_source(**changes: Any) -> dict[str, Any]:
    """Return the valid value with its only source changed."""
    value = good()
    value["clients"][0]["sources"][0] |= changes
    return value


def test_clients_get_one_line() -> None:
    """IMAP METADATA values have one line, whatever the layout of the file."""
    line = one_line(json.dumps(good(), indent=4).encode())

    assert "\n" not in line
    assert json.loads(line) == good()


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([], "`the whole file` must be an object with `clients`"),
        ({"clients": {}}, "`clients` must be a list"),
        ({"clients": [], "more": 1}, "and nothing else"),
        ({"clients": [{"clientId": "a"}]}, "`clients[0]` must be an object with `clientId`"),
        (with_source(versionInteger="1"), "versionInteger` must be a whole number"),
        (with_source(versionInteger=True), "versionInteger` must be a whole number"),
        (with_source(versionInteger=1.0), "versionInteger` must be a whole number"),
        (with_source(versionInteger=2**32), "versionInteger` must be a whole number"),
        (with_source(versionInteger=-1), "versionInteger` must be a whole number"),
        (with_source(versionString=2), "`clients[0].sources[0].versionString` must be a text"),
        (with_source(sourceId="a\nb"), "`clients[0].sources[0].sourceId` must be a text"),
        (with_source(downloadUrl="https://github.com/delta"), "downloadUrl` must begin with"),
        (with_source(downloadUrl="https://example.org/a.apk"), "downloadUrl` must begin with"),
    ],
)
def test_refuses_what_clients_would_drop(value: object, fault: str) -> None:
    """A single wrong type makes a client silently ignore everything."""
    with pytest.raises(VersionsError) as caught:
        one_line(json.dumps(value).encode())

    assert fault in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b" " * 70_000])
def test_refuses_invalid_json(data: bytes) -> None:
    """Files that are too large or too deeply nested are refused as well."""
    with pytest.raises(VersionsError):
        one_line(data)


def test_a_changed_file_takes_effect_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    The operator writes a new version without a restart.

    An error is logged once and hides everything.
    """
    caplog.set_level(logging.WARNING)
    path = tmp_path / "versions.json"
    versions = AppVersions(path)
    assert versions.line() is None

    path.write_text(json.dumps(good()))
    assert json.loads(versions.line() or "") == good()

    path.write_text("{}")
    assert versions.line() is None
    assert versions.line() is None
    beginning = f"`appVersions` is not shown to clients: {path}: "
    assert [record.getMessage() for record in caplog.records] == [
        beginning + "No such file or directory",
        beginning + "`the whole file` must be an object with `clients` and nothing else",
    ]
