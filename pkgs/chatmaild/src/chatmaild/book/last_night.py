"""
The record of the last expiry run for `chatmail status` and the metrics; contains no addresses.

`chatmail-expire` writes it at the end of every run, including failed ones. After a run that was
killed, the record is still that of the previous run, and its age shows this.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from chatmaild.service.files import write_whole


@dataclass(frozen=True, slots=True)
class Record:
    """
    One run; `at` is the UNIX time of its end, and `fault` is the error or "".

    The stored messages and bytes are those left in all mailboxes after the run.
    """

    at: int
    messages: int
    bytes: int
    accounts: int
    mailboxes: int
    seconds: float
    held: bool
    fault: str
    stored_messages: int
    stored_bytes: int


def write(path: Path, record: Record) -> None:
    """Write a record atomically; raises OSError."""
    write_whole(path, json.dumps(asdict(record)).encode())


def read(path: Path) -> Record | None:
    """
    Read the last record; return None if there has been no run yet.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a record.

    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    try:
        return Record(**found)
    except TypeError as error:
        raise ValueError(str(error)) from None
