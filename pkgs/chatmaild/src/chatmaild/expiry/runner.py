"""
chatmail-expire: the nightly expiry, started by a timer.

It deletes messages that exceed the operator's limits and trims full mailboxes itself. To delete
idle accounts, it asks chatmail-accounts, the only writer of the account book.
"""

import logging
import time
from functools import partial
from http import HTTPStatus

from chatmaild.book import last_night
from chatmaild.book.accounts import Book, BookError
from chatmaild.config import Config
from chatmaild.expiry import hold
from chatmaild.expiry.policy import SECONDS_PER_DAY
from chatmaild.expiry.run import ExpiryRun, Report
from chatmaild.expiry.sweep import Amount
from chatmaild.service import daemon, http_client

log = logging.getLogger("chatmail-expire")


class ExpiryError(Exception):
    """The run failed or is incomplete; the message is one sentence for the operator."""


def expire(config: Config, now: float, *, rehearsal: bool = False) -> Report:
    """
    Expire everything that is due at `now`, or in a rehearsal only report it.

    Raises:
        BookError: the account book cannot be read.
        ExpiryError: the mailboxes cannot be read.

    """
    today = int(now) // SECONDS_PER_DAY
    patience = hold.decide(hold.read(config.paths.expiry_hold), today)
    held = today < patience.until_day
    book = Book.open_reader(config.paths.account_book)
    try:
        if not rehearsal:
            hold.write(config.paths.expiry_hold, patience)
        run = ExpiryRun(config, book, now, held=held and not rehearsal, rehearsal=rehearsal)
        run.mailboxes()
        run.idle()
    except OSError as error:
        raise ExpiryError(f"{error.filename}: {error.strerror}") from None
    finally:
        book.close()
    run.report.held = held
    if not rehearsal:
        try:
            run.delete(partial(_delete, config))
        except ExpiryError as error:
            run.report.failure = str(error)
    return run.report


def _delete(config: Config, address: str, before_day: int) -> bool:
    socket = config.paths.control_socket
    try:
        status, answer = http_client.ask(
            socket, "/accounts/expire", address=address, before_day=before_day
        )
    except (PermissionError, http_client.UnreachableError) as error:
        raise ExpiryError(f"chatmail-accounts cannot be reached at {socket}: {error}") from None
    if status >= HTTPStatus.BAD_REQUEST:
        raise ExpiryError(str(answer["reason"]))
    if warning := answer.get("warning"):
        log.warning("a deleted account may still have open connections: %s", warning)
    return bool(answer["deleted"])


def _record(report: Report, at: float, fault: str) -> last_night.Record:
    """Summarize a run; `mailboxes` counts the deleted ones without an account."""
    removed = Amount()
    for amount in (report.old, report.large, report.trimmed):
        removed.add_all(amount)
    return last_night.Record(
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


def _work(config: Config) -> None:
    report, fault = Report(), ""
    try:
        report = expire(config, time.time())
        log.info("%s", report.sentence())
        fault = report.failure
        if report.faults and not fault:
            fault = f"{report.faults} mailboxes could not be read"
    except (BookError, ExpiryError) as error:
        fault = str(error)
    try:
        done = _record(report, time.time(), fault)
        last_night.write(config.paths.last_night, done)
    except OSError as error:
        fault = fault or f"{error.filename}: {error.strerror}"
    if fault:
        raise ExpiryError(fault)


def main() -> int:
    """Run chatmail-expire; see `chatmail-expire --help`."""
    return daemon.run(
        "chatmail-expire",
        "Delete old mail and unused accounts once.",
        _work,
        (BookError, ExpiryError),
    )
