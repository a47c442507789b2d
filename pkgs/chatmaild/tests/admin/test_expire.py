import json
import time
from pathlib import Path
from typing import Any

import pytest

from chatmaild.admin.cli import main
from chatmaild.book.accounts import Book

ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"
DAY = 86400


@pytest.fixture
def config(tmp_path: Path, settings: dict[str, Any]) -> str:
    """Provide a relay with alice, who has old mail, and bob, who never logged in again."""
    today = int(time.time()) // DAY
    book = Book.open(tmp_path / "accounts.sqlite", tmp_path / "mail")
    book.create(ALICE, "{BLF-CRYPT}hash", 20_000)
    book.create(BOB, "{BLF-CRYPT}hash", today - 91)
    book.record_logins([ALICE], today)
    book.close()
    for address, days in ((ALICE, 21), (ALICE, 1), (BOB, 100)):
        mailbox = tmp_path / "mail" / address / "Maildir" / "new"
        mailbox.mkdir(parents=True, exist_ok=True)
        (mailbox / f"{int(time.time()) - days * DAY}.M1P1.x,S=2048").touch()
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    return str(path)


def test_lists_what_would_be_deleted_and_deletes_nothing(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Operators check before they set a shorter limit; only they see the accounts' addresses."""
    before = sorted((tmp_path / "mail").rglob("*"))

    assert main(["--config", config, "expire", "--dry-run"]) == 0

    shown = capsys.readouterr().out
    assert "2 mailboxes, 3 messages, 6.0 KiB" in shown
    assert "old mail            2 messages, 4.0 KiB" in shown
    assert f"idle accounts       1\n    {BOB}" in shown
    assert sorted((tmp_path / "mail").rglob("*")) == before
    assert not (tmp_path / "expiry-hold.json").exists()


def test_a_missing_book_is_one_sentence(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the book it is unknown who is idle."""
    (tmp_path / "accounts.sqlite").unlink()

    assert main(["--config", config, "expire", "--dry-run"]) == 1
    assert "accounts.sqlite: cannot be opened" in capsys.readouterr().err
