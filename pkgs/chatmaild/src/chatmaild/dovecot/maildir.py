"""
The messages of a mailbox as its directories name them, without opening a file.

A name of Dovecot's says all that is needed, `1795213297.M20P3.host,S=4711,W=4800:2,S`: when the
message came, its size, and its size with CRLF as line ends, which is what the quota counts. S and
W are of the message as it travels, not of the compressed file. The one thing it does not say is
the internal date (`changed`), which a copy has from its original.

Dovecot may move, rename and delete at the same time. What is gone meanwhile is simply not there.
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


class Message(NamedTuple):
    """
    One message file.

    `size` is what the operator's limits mean, `counted` what the quota counts; `stamp` and
    `changed` are seconds since 1970 and None where unknown: `changed` is only looked up when the
    name tells too little.
    """

    path: str
    size: int
    counted: int
    stamp: float | None
    changed: float | None


def messages(maildir: str) -> Iterator[Message]:
    """Go through the messages of all folders, in no order."""
    for folder in folders(maildir):
        for part in ("cur", "new"):
            yield from _files(f"{folder}/{part}")


def leftovers(maildir: str) -> Iterator[Message]:
    """Go through the files that deliveries have not finished, in all folders."""
    for folder in folders(maildir):
        yield from _files(f"{folder}/tmp")  # noqa: S108 - a maildir's own


def folders(maildir: str) -> Iterator[str]:
    """List the directories of all folders; INBOX is the maildir itself (Maildir++)."""
    yield maildir
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(maildir) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield entry.path


def remove(path: str) -> bool:
    """Delete one message; False when Dovecot has moved or deleted it meanwhile."""
    try:
        os.unlink(path)  # noqa: PTH108 - a million paths, none of them worth an object
    except FileNotFoundError:
        return False
    return True


def _files(directory: str) -> Iterator[Message]:
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
            yield Message(entry.path, size, counted, _stamp(parts), None)


def _stamp(parts: re.Match[str]) -> float:
    """Read seconds, and microseconds where Dovecot wrote the name: many mails come in a second."""
    return int(parts[1]) + int(parts[2] or 0) / 1e6


def _looked_up(entry: os.DirEntry[str], parts: re.Match[str] | None) -> Message | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not entry.is_file(follow_symlinks=False):
        return None
    stamp = None if parts is None else _stamp(parts)
    return Message(entry.path, status.st_size, status.st_size, stamp, status.st_mtime)


def changed(path: str) -> float | None:
    """Look up when a file was changed; None when it is gone."""
    try:
        return os.stat(path, follow_symlinks=False).st_mtime  # noqa: PTH116 - as above
    except FileNotFoundError:
        return None
