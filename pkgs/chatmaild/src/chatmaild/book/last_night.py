"""
What the last night did, kept for whoever asks how the relay is: figures, and no address.

`chatmail-expire` writes it at the end, also of a night that failed; one that was killed leaves the
record of the night before, whose age tells.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from chatmaild.config import Config
from chatmaild.expiry.night import Report
from chatmaild.expiry.sweep import Amount


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


def of_report(report: Report, at: float, fault: str) -> Record:
    """Sum up a night; `mailboxes` are those without an account that went."""
    removed = Amount()
    for amount in (report.old, report.large, report.trimmed):
        removed.add_all(amount)
    return Record(
        at=int(at),
        messages=removed.messages,
        bytes=removed.bytes,
        accounts=report.deleted,
        mailboxes=report.removed_orphans,
        seconds=round(report.seconds, 1),
        held=report.held,
        fault=fault,
        stored_messages=report.seen.messages - removed.messages,
        stored_bytes=report.seen.bytes - removed.bytes,
    )


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
