"""
The newest versions of apps, for clients that no app store updates (METADATA entry `appversions`).

The operator provides a JSON file. A single wrong type makes clients ignore all of it. So the file
is validated first. An invalid file counts as missing, and a warning names the error.
"""

import json
import logging
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024
MAX_TEXT = 500
MAX_U32 = 2**32 - 1
# Clients install only from these addresses.
DOWNLOADS = ("https://github.com/deltachat/", "https://download.delta.chat/")


class VersionsError(Exception):
    """The file is invalid; the message is the reason, in one sentence."""


class AppVersions:
    """The file as one line of JSON; it is read again after each change."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`; it is read later."""
        self._path = path
        self._seen: object = None
        self._line: str | None = None

    def line(self) -> str | None:
        """Return the line, or None if there is no valid file."""
        try:
            stat = self._path.stat()
            seen: object = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            seen = error.errno
        if seen != self._seen:
            self._seen, self._line = seen, self._read()
        return self._line

    def _read(self) -> str | None:
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            return one_line(data)
        except OSError as error:
            log.warning("`appVersions` is not shown to clients: %s: %s", self._path, error.strerror)
        except VersionsError as error:
            log.warning("`appVersions` is not shown to clients: %s: %s", self._path, error)
        return None


def one_line(data: bytes) -> str:
    """
    Validate the content of a file and return it as one line of ASCII.

    Raises:
        VersionsError: names the first part that clients would reject.

    """
    if len(data) > MAX_BYTES:
        raise VersionsError(f"it is larger than {MAX_BYTES} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise VersionsError(f"it is not JSON: {error}") from None
    top = _object(value, "the whole file", {"clients"})
    for i, one in enumerate(_list(top["clients"], "clients")):
        client = _object(one, f"clients[{i}]", {"clientId", "sources"})
        _text(client["clientId"], f"clients[{i}].clientId")
        for k, each in enumerate(_list(client["sources"], f"clients[{i}].sources")):
            _source(each, f"clients[{i}].sources[{k}]")
    return json.dumps(value, separators=(",", ":"))


def _source(value: Any, key: str) -> None:
    names = {"sourceId", "versionInteger", "versionString", "downloadUrl"}
    source = _object(value, key, names)
    _text(source["sourceId"], f"{key}.sourceId")
    _text(source["versionString"], f"{key}.versionString")
    number = source["versionInteger"]
    if type(number) is not int or not 0 <= number <= MAX_U32:
        raise VersionsError(f"`{key}.versionInteger` must be a whole number below 2^32")
    url = _text(source["downloadUrl"], f"{key}.downloadUrl")
    if not url.startswith(DOWNLOADS):
        raise VersionsError(f"`{key}.downloadUrl` must begin with {' or '.join(DOWNLOADS)}")


def _object(value: Any, key: str, names: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        wanted = ", ".join(f"`{name}`" for name in sorted(names))
        raise VersionsError(f"`{key}` must be an object with {wanted} and nothing else")
    return value


def _list(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise VersionsError(f"`{key}` must be a list")
    return value


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise VersionsError(f"`{key}` must be a text of 1 to {MAX_TEXT} characters in one line")
    return value
