"""
The file format of the account book: how a book is created, and how one is recognised.

SQLite's file header has two fields for this: `application_id` identifies the program, and
`user_version` the schema (https://sqlite.org/fileformat2.html, section 1.3).
"""

import contextlib
import os
import sqlite3
from pathlib import Path

from chatmaild.service.files import sync_directory

APPLICATION_ID = int.from_bytes(b"chat")
VERSION = 3

# Dovecot reads `accounts` with its own queries (modules/relay/dovecot.nix).
_VERSION_1 = """
CREATE TABLE accounts (
    address TEXT PRIMARY KEY NOT NULL,
    password TEXT NOT NULL,
    created_day INTEGER NOT NULL,
    last_login_day INTEGER,
    blocked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE device_tokens (
    id INTEGER PRIMARY KEY,
    address TEXT NOT NULL REFERENCES accounts (address) ON DELETE CASCADE,
    token TEXT NOT NULL,
    set_day INTEGER NOT NULL,
    UNIQUE (address, token)
) STRICT;
"""
_VERSION_2 = """
-- Push notifications that could not be handed over at once; times are UNIX seconds.
CREATE TABLE notifications (
    address TEXT NOT NULL REFERENCES accounts (address) ON DELETE CASCADE,
    token TEXT NOT NULL,
    since INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (address, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_due ON notifications (due);
CREATE TABLE invites (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL UNIQUE,
    comment TEXT NOT NULL,
    uses INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    created_day INTEGER NOT NULL,
    last_day INTEGER
) STRICT;
-- Names that were handed out for an invite and are not in use yet; `until` is UNIX seconds.
CREATE TABLE handed_out (
    address TEXT PRIMARY KEY NOT NULL,
    invite INTEGER NOT NULL REFERENCES invites (id) ON DELETE CASCADE,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX handed_out_invite ON handed_out (invite);
-- Deleted addresses, reserved until `free_day`. Only a keyed hash of each is kept.
CREATE TABLE deleted (
    hash BLOB PRIMARY KEY NOT NULL,
    free_day INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE hash_key (key BLOB NOT NULL) STRICT;
INSERT INTO hash_key VALUES (randomblob(32));
"""
_VERSION_3 = """
-- Where the operator chose otherwise than for the relay.
CREATE TABLE incoming_cleartext (
    address TEXT PRIMARY KEY NOT NULL REFERENCES accounts (address) ON DELETE CASCADE,
    allowed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
# The statements that each version added, oldest first.
_STEPS = (_VERSION_1, _VERSION_2, _VERSION_3)


class BookError(Exception):
    """The account book cannot be used; the message is one sentence for the operator."""


def create(path: Path, mailboxes: Path) -> None:
    """
    Create the first account book of a relay.

    The file is created under another name and appears atomically. An empty file at `path` is
    therefore always the result of an accident.

    Raises:
        BookError: there are mailboxes already, so a book must have existed; or the directory
            cannot be written.

    """
    with contextlib.suppress(FileNotFoundError, PermissionError):
        if any(mailboxes.iterdir()):
            raise BookError(
                f"{path}: is missing although {mailboxes} holds mailboxes; restore it from a"
                " backup (with a new one, anyone could take over any address by logging in)"
            )
    draft = path.with_name(path.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(draft, isolation_level=None)
        try:
            connection.executescript(
                f"BEGIN;PRAGMA application_id = {APPLICATION_ID};{_steps(0)}COMMIT;"
            )
        finally:
            connection.close()
        # Unlike rename, link refuses to replace a book that has appeared in the meantime.
        os.link(draft, path)
        draft.unlink()
        sync_directory(path.parent)
    except FileExistsError:
        draft.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        raise BookError(f"{path}: cannot be created: {_reason(error)}") from None


def connect(path: Path, busy_timeout: float, *, write: bool) -> sqlite3.Connection:
    """
    Open a book after checking that it is an account book and undamaged.

    When opened for writing, a book with an older schema is upgraded first. This happens in one
    transaction, so the book always has one of the two schemas. A reader does not upgrade.

    Raises:
        BookError: the book is missing, damaged, foreign, or has a newer schema.

    """
    try:
        if not path.stat().st_size:
            raise BookError(
                f"{path}: is empty, so its content is lost; restore it from a backup"
                " (nothing was changed)"
            )
    except OSError as error:
        raise BookError(f"{path}: cannot be opened: {_reason(error)}") from None
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'rw' if write else 'ro'}",
            uri=True,
            timeout=busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            version = _recognise(connection, path)
            if write:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                # Deleted data is overwritten, not only unlinked.
                connection.execute("PRAGMA secure_delete = ON")
                if version < VERSION:
                    connection.executescript(f"BEGIN IMMEDIATE;{_steps(version)}COMMIT;")
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        # For a damaged file, sqlite3 says "file is not a database" or "... malformed". A locked or
        # unreadable file is an OperationalError, which is not damage.
        if isinstance(error, sqlite3.OperationalError):
            raise BookError(f"{path}: cannot be opened: {error}") from None
        raise _damaged(path, str(error)) from None
    return connection


def _steps(version: int) -> str:
    """Return the statements that upgrade the schema from `version` to the current one."""
    return "".join(_STEPS[version:]) + f"PRAGMA user_version = {VERSION};"


def _recognise(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version of a book; raises BookError if it is not usable."""
    version: int
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version < 1:
        raise BookError(
            f"{path}: is a database, but not an account book of a chatmail relay; move it away or"
            " correct `paths.accountBook` (nothing was changed)"
        )
    if version > VERSION:
        raise BookError(
            f"{path}: was written by a newer chatmaild (schema {version}; this one supports up to"
            f" {VERSION}); install the newer one again (nothing was changed)"
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _damaged(path, " ".join(str(verdict).split()))
    return version


def _damaged(path: Path, what: str) -> BookError:
    return BookError(
        f"{path}: is damaged ({what}); restore it from a backup, or extract the readable part with"
        f" `sqlite3 {path} .recover` (nothing was changed)"
    )


def _reason(error: OSError | sqlite3.Error) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
