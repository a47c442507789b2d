import sqlite3
from pathlib import Path

import pytest

from chatmaild.book import schema
from chatmaild.book.accounts import Book, BookError
from chatmaild.book.tokens import Tokens

ALICE = "alice1234@chat.example.org"
# The book of relays that were set up with the first version. Never change this.
VERSION_1 = """
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
INSERT INTO accounts VALUES ('alice1234@chat.example.org', 'hash', 20000, 20001, 0);
INSERT INTO device_tokens VALUES (1, 'alice1234@chat.example.org', 'token', 20001);
PRAGMA application_id = 1667785076;
PRAGMA user_version = 1;
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a book of version 1."""
    path = tmp_path / "accounts.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()
    return path


def layout(path: Path) -> tuple[int, list[tuple[str, str]]]:
    """Read version and tables."""
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    rows = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    connection.close()
    return version, rows


def test_an_old_book_is_upgraded(old: Path, tmp_path: Path) -> None:
    """Accounts and tokens remain, and the result equals a new book."""
    book = Book.open(old, tmp_path / "mail")
    account = book.find(ALICE)
    assert account is not None
    assert (account.password, account.last_login_day) == ("hash", 20001)
    assert Tokens(book).of(ALICE, 20001) == ["token"]
    book.close()
    Book.open(tmp_path / "new.sqlite", tmp_path / "mail").close()

    assert layout(old) == layout(tmp_path / "new.sqlite")
    assert layout(old)[0] == schema.VERSION


def test_a_reader_does_not_upgrade_an_old_book(old: Path) -> None:
    """The operator's command may read the book before the daemon is restarted."""
    before = old.read_bytes()

    book = Book.open_reader(old)
    assert book.count() == 1
    book.close()

    assert old.read_bytes() == before


def test_a_failed_upgrade_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power failure or with a full disk, the old book still works."""
    before = layout(old)
    steps = (schema._VERSION_1, schema._VERSION_2 + "CREATE TABLE accounts (x);")
    monkeypatch.setattr(schema, "_STEPS", steps)

    with pytest.raises(BookError):
        Book.open(old, old.parent / "mail")

    assert layout(old) == before
