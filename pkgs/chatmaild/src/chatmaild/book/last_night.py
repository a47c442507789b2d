"""
The record of the last expiry run, for `chatmail status` and the metrics: figures, no addresses.

`chatmail-expire` writes it at the end of a run, also of a failed one. A run that was killed leaves
the record of the run before, whose age shows it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from chatmaild.config import Config


@dataclass(frozen=True, slots=True)
class Record:
    """
    One night; `at` is the UNIX time of its end, `fault` what went wrong, "" for nothing.

    What is stored is what was left in all mailboxes.
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


def path_of(config: Config) -> Path:
    """Return where the record is: beside the account book."""
    return config.paths.account_book.with_name("expired.json")


def write(path: Path, record: Record) -> None:
    """
    Keep a record, whole or not at all.

    Raises:
        OSError: it cannot be written.

    """
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(json.dumps(asdict(record)))
    draft.replace(path)


def read(path: Path) -> Record | None:
    """
    Read the last record; None when there has been no night yet.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no record.

    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    try:
        return Record(**found)
    except TypeError as error:
        raise ValueError(str(error)) from None
