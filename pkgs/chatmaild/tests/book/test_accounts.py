import shutil
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chatmaild.book.accounts import Book, BookError

TODAY = 20_000
ALICE = "alice1234@chat.example.org"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the book in this test."""
    return tmp_path / "accounts.sqlite"


def test_keeps_an_account_across_a_restart(book: Book, path: Path) -> None:
    """An account outlives the daemon that created it."""
    book.create(ALICE, "hash", TODAY)
    book.close()

    again = Book.open(path, path.parent / "mail")
    account = again.find(ALICE)
    again.close()

    assert account is not None
    assert (account.password, account.created_day, account.last_login_day) == ("hash", TODAY, None)
    assert not account.blocked


def test_parallel_creations_make_one_account(path: Path) -> None:
    """Dovecot sends first logins in parallel; exactly one of their passwords may win."""
    book = Book.open(path, path.parent / "mail")
    start = threading.Barrier(20)

    def create(number: int) -> tuple[str, bool]:
        start.wait(5)
        account, created = book.create(ALICE, f"hash{number}", TODAY)
        return account.password, created

    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(create, range(20)))

    assert sum(created for _, created in results) == 1
    assert len({password for password, _ in results}) == 1
    assert book.count() == 1
    book.close()


def test_can_be_read_while_it_is_written(book: Book, path: Path) -> None:
    """Dovecot reads through its own connection, read-only, while this one writes."""
    book.create(ALICE, "hash", TODAY)
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    rows = reader.execute("SELECT password FROM accounts WHERE blocked = 0").fetchall()
    reader.close()

    assert rows == [("hash",)]
    assert reader_mode(path) == "wal"


def reader_mode(path: Path) -> str:
    """Return the file's journal mode."""
    connection = sqlite3.connect(path)
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    return str(mode)


def test_is_closed_to_other_users(book: Book, path: Path) -> None:
    """No other user may read hashes and device tokens."""
    book.create(ALICE, "hash", TODAY)

    assert {file.stat().st_mode & 0o777 for file in path.parent.glob("accounts.sqlite*")} == {0o600}


def test_a_login_in_the_meantime_prevents_deletion_as_idle(book: Book) -> None:
    """The book decides in the transaction that deletes."""
    book.create(ALICE, "hash", TODAY)
    assert book.idle(TODAY + 1) == [ALICE]
    book.record_logins([ALICE], TODAY + 1)

    assert not book.delete(ALICE, TODAY + 1, 0, idle_before=TODAY + 1)
    assert book.find(ALICE) is not None
    assert book.delete(ALICE, TODAY + 2, 0, idle_before=TODAY + 2)


def test_lists_unused_accounts(book: Book) -> None:
    """An account without a recorded login counts from its creation (SMTP records none)."""
    for address, created in ((ALICE, TODAY), ("bob@x", TODAY), ("carol@x", TODAY + 5)):
        book.create(address, "hash", created)
    book.record_logins([ALICE], TODAY + 5)

    assert book.idle(TODAY) == []
    assert book.idle(TODAY + 5) == ["bob@x"]
    assert book.idle(TODAY + 6) == [ALICE, "bob@x", "carol@x"]


def test_notes_a_login_once_a_day(book: Book, path: Path) -> None:
    """A second login on the same day writes nothing, which spares flash cards."""
    book.create(ALICE, "hash", TODAY)
    book.record_logins([ALICE, "unknown@chat.example.org"], TODAY + 1)
    before = path.with_name(path.name + "-wal").read_bytes()
    book.record_logins([ALICE], TODAY + 1)
    book.record_logins([ALICE], TODAY)

    account = book.find(ALICE)

    assert account is not None
    assert account.last_login_day == TODAY + 1
    assert path.with_name(path.name + "-wal").read_bytes() == before


def test_a_locked_book_is_not_reported_as_an_unknown_account(
    book: Book, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locked book must be a temporary failure, never a wrong password or a new account."""
    monkeypatch.setattr("chatmaild.book.accounts.BUSY_TIMEOUT_SECONDS", 0)
    impatient = Book.open(path, path.parent / "mail")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(BookError, match="cannot be written: database is locked"):
            impatient.create(ALICE, "hash", TODAY)
    finally:
        other.execute("ROLLBACK")
        other.close()

    _, created = impatient.create(ALICE, "hash", TODAY)
    impatient.close()

    assert created


def foreign(path: Path) -> None:
    """Create a database of another program."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE accounts (address TEXT)")
    connection.close()


def newer(path: Path) -> None:
    """Create a book with a later schema."""
    Book.open(path, path.parent / "mail").close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def torn(path: Path) -> None:
    """Overwrite some pages of a book."""
    book = Book.open(path, path.parent / "mail")
    for number in range(2000):
        book.create(f"user{number:05}@chat.example.org", "x" * 60, TODAY)
    book.close()
    content = bytearray(path.read_bytes())
    content[4096 * 5 : 4096 * 9] = b"\xa5" * (4096 * 4)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.write_bytes(b"not a database" * 100), "is damaged"),
        (lambda path: path.write_bytes(b""), "is empty, so its content is lost"),
        (torn, "is damaged"),
        (foreign, "not an account book of a chatmail relay"),
        (newer, "was written by a newer chatmaild (schema 99; this one supports up to 3)"),
    ],
)
def test_never_overwrites_an_unusable_book(
    path: Path, spoil: Callable[[Path], object], sentence: str
) -> None:
    """Losing the book gives all addresses away, so the operator must be able to save it."""
    spoil(path)
    before = path.read_bytes()

    with pytest.raises(BookError) as writing:
        Book.open(path, path.parent / "mail")
    with pytest.raises(BookError) as reading:
        Book.open_reader(path)

    for caught in (writing, reading):
        assert str(caught.value).startswith(f"{path}: ")
        assert sentence in str(caught.value)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_is_not_created_again_if_mailboxes_exist(path: Path) -> None:
    """A missing book must not be replaced by one in which every address is free."""
    mailboxes = path.parent / "mail"
    (mailboxes / ALICE).mkdir(parents=True)

    with pytest.raises(BookError, match=r"is missing although .* holds mailboxes"):
        Book.open(path, mailboxes)

    assert not path.exists()


def test_appears_whole_after_an_interrupted_first_start(path: Path) -> None:
    """A draft left by a power failure is deleted, not used."""
    path.with_name("accounts.sqlite.new").write_bytes(b"half a header")

    book = Book.open(path, path.parent / "mail")

    assert book.count() == 0
    book.close()
    assert [file.name for file in path.parent.iterdir()] == ["accounts.sqlite"]


def test_reader_does_not_create_a_book(path: Path) -> None:
    """Reading must not change anything."""
    with pytest.raises(BookError, match="cannot be opened: No such file or directory"):
        Book.open_reader(path)

    assert not path.exists()


def test_names_the_directory_that_is_missing(tmp_path: Path) -> None:
    """The operator has to create a missing directory, with the right owner."""
    path = tmp_path / "absent" / "accounts.sqlite"

    with pytest.raises(BookError, match="cannot be created: No such file or directory"):
        Book.open(path, tmp_path / "mail")


def test_survives_being_copied_with_its_log(book: Book, path: Path, tmp_path: Path) -> None:
    """A backup of the three files of a book in use is a valid book."""
    book.create(ALICE, "hash", TODAY)
    copy = tmp_path / "backup"
    copy.mkdir()
    for file in path.parent.glob("accounts.sqlite*"):
        shutil.copy(file, copy)

    restored = Book.open(copy / "accounts.sqlite", tmp_path / "mail")

    assert restored.find(ALICE) is not None
    restored.close()
