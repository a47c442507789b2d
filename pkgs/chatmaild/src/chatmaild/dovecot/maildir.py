"""
Lists the messages of a mailbox from its directories, without opening a message file.

Dovecot's file names contain almost all that is needed: `1795213297.M20P3.host,S=4711,W=4800:2,S`
has the time of arrival, the size, and the size with CRLF line ends, which the quota counts. S and W
refer to the message as transmitted, not to the compressed file. Only the internal date (`changed`)
is missing, which a copy inherits from its original.

Dovecot may move, rename and delete messages at the same time. Vanished messages are skipped.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

_NAME = re.compile(
    r"([0-9]{1,18})\.(?:M([0-9]{1,6})P)?[^,:/]*(?:,S=([0-9]{1,18}))?(?:,W=([0-9]{1,18}))?",
    re.ASCII,
)


class StoredMessage(NamedTuple):
    """
    One message file.

    `size` is compared with the operator's limits, and `counted` is what the quota counts. `stamp`
    and `changed` are seconds since 1970, or None if unknown. `changed` is only looked up if the
    file name lacks a field.
    """

    path: str
    size: int
    counted: int
    stamp: float | None
    changed: float | None


def messages(maildir: str) -> Iterator[StoredMessage]:
    """Yield the messages of all folders, in no particular order."""
    for folder in folders(maildir):
        for part in ("cur", "new"):
            yield from _files(f"{folder}/{part}")


def leftovers(maildir: str) -> Iterator[StoredMessage]:
    """Yield the files of unfinished deliveries in all folders."""
    for folder in folders(maildir):
        yield from _files(f"{folder}/tmp")  # noqa: S108 - a maildir's own


def folders(maildir: str) -> Iterator[str]:
    """Yield the directories of all folders; INBOX is the maildir itself (Maildir++)."""
    yield maildir
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(maildir) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield entry.path


def remove(path: str) -> bool:
    """Delete one message; return False if Dovecot has already moved or deleted it."""
    try:
        os.unlink(path)  # noqa: PTH108 - Path objects are too slow for a million paths
    except FileNotFoundError:
        return False
    return True


def _files(directory: str) -> Iterator[StoredMessage]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            parts = _NAME.match(name)
            if parts is None or parts[3] is None:
                message = _looked_up(entry, parts)
                if message is not None:
                    yield message
                continue
            size = int(parts[3])
            counted = size if parts[4] is None else int(parts[4])
            yield StoredMessage(entry.path, size, counted, _stamp(parts), None)


def _stamp(parts: re.Match[str]) -> float:
    """Read the seconds, plus the microseconds if present: many messages arrive in one second."""
    return int(parts[1]) + int(parts[2] or 0) / 1e6


def _looked_up(entry: os.DirEntry[str], parts: re.Match[str] | None) -> StoredMessage | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not entry.is_file(follow_symlinks=False):
        return None
    stamp = None if parts is None else _stamp(parts)
    return StoredMessage(entry.path, status.st_size, status.st_size, stamp, status.st_mtime)


def changed(path: str) -> float | None:
    """Return when a file was last changed, or None if it no longer exists."""
    try:
        return os.stat(path, follow_symlinks=False).st_mtime  # noqa: PTH116 - as above
    except FileNotFoundError:
        return None
