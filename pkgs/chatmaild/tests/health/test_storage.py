"""The disks and their contents."""

import os
import pwd
import time
from dataclasses import replace
from typing import Any

import pytest

from chatmaild.book.accounts import Book
from chatmaild.book.last_night import Record, write
from chatmaild.book.outbox import Notification, Outbox
from chatmaild.book.tokens import Tokens
from chatmaild.health import storage, units
from chatmaild.health.checks import Look

ALICE = "alice1234@chat.example.org"


def test_a_push_proxy_that_does_not_work_is_wrong(look: Look) -> None:
    """Some notifications always wait, but one that was tried four times is a fault."""
    paths = look.config.paths
    book = Book.open(paths.account_book, paths.mailboxes)
    book.create(ALICE, "hash", 20_000)
    Tokens(book).add(ALICE, "token", 20_000)
    seen = []
    for attempts in (0, 3, 4):
        Outbox(book).put([(Notification(ALICE, "token", 0, attempts), 0)])
        accounts, push = storage.book(look)
        assert (accounts.state, accounts.text) == ("ok", "1")
        seen.append(push)
    book.close()

    assert [check.state for check in seen] == ["ok", "ok", "wrong"]
    assert "push.proxy" in seen[-1].remedy


def test_a_book_that_is_damaged_is_a_sentence(look: Look) -> None:
    """With a remedy."""
    look.config.paths.account_book.write_text("no database at all" * 500)
    [check] = storage.book(look)
    assert (check.state, check.remedy) == ("wrong", "restore it from a backup")


@pytest.mark.parametrize(
    ("hours", "change", "state", "says"),
    [
        (5, {}, "ok", "UTC: deleted 12 messages (3.0 MiB), 1 idle accounts"),
        (5, {"held": True}, "ok", "deletion by age is paused, because the relay was offline"),
        (5, {"fault": "7 mailboxes could not be read"}, "wrong", "UTC: 7 mailboxes could not be"),
        (60, {}, "wrong", "last ran"),
    ],
)
def test_says_when_expiry_last_ran(
    look: Look, hours: int, change: dict[str, Any], state: str, says: str
) -> None:
    """Otherwise a stopped timer is noticed only when the disk is full."""
    at = int(time.time()) - hours * 3600
    last = Record(
        at, 12, 3_145_728, 1, 0, 4.5, held=False, fault="", stored_messages=3, stored_bytes=900
    )
    write(look.config.paths.last_night, replace(last, **change))
    [check] = storage.expiry(look)
    assert (check.state, says in check.text) == (state, True), check


@pytest.mark.parametrize("text", ["", "{}", "[]", "[" * 9, '{"at": 5}'])
def test_an_unreadable_record_is_named(look: Look, text: str) -> None:
    """A partly restored directory must not cause a traceback."""
    look.config.paths.last_night.write_text(text)
    [check] = storage.expiry(look)
    assert "is not a record of a run" in check.text


def test_a_stop_of_registration_is_a_note(look: Look) -> None:
    """It is intended, but easily forgotten."""
    [check] = storage.registration(look)
    assert check.state == "ok"
    look.config.paths.nocreate.touch()
    [check] = storage.registration(look)
    assert (check.state, "chatmail registration start" in check.remedy) == ("note", True)


def test_mailboxes_must_belong_to_those_who_deliver(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a manual restore the directory often belongs to root."""
    path = look.config.paths.mailboxes
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(units, "show", lambda _: [{"User": "nobody"}])
    [check] = storage.mailboxes(look)
    assert (check.state, "No such file" in check.text) == ("wrong", True)
    path.mkdir()
    (path / ALICE).mkdir()
    [check] = storage.mailboxes(look)
    assert "belongs to root, not to nobody" in check.text
    os.chown(path, nobody.pw_uid, -1)
    [check] = storage.mailboxes(look)
    assert check.text == "1 of them do not belong to nobody"
    assert check.remedy == f"`chown -R nobody: {path}`"
    os.chown(path / ALICE, nobody.pw_uid, -1)
    path.chmod(0o500)
    [check] = storage.mailboxes(look)
    assert "may not write" in check.text
    path.chmod(0o700)
    [check] = storage.mailboxes(look)
    assert check.state == "ok"


def test_a_disk_is_full_before_its_last_byte(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postfix refuses mail much earlier, and free space is useless without inodes."""
    path = look.config.paths.account_book.parent
    block = 4096

    def with_(**change: int) -> str:
        values = {"f_bavail": 10**6, "f_blocks": 10**7, "f_files": 10**6, "f_favail": 10**5}
        fake = type("Fake", (), {**values, "f_frsize": block, "f_flag": 0, **change})
        monkeypatch.setattr(os, "statvfs", lambda _: fake)
        check = storage._disk("disk", path, 47_000_000)
        assert (check.state == "ok") == (not check.remedy)
        return check.text

    assert with_() == "3.8 GiB of 38.1 GiB free"
    assert "mail is refused" in with_(f_bavail=11_000)
    assert "100 of 1000000 inodes free" in with_(f_favail=100)
    assert "free" in with_(f_files=0, f_favail=0)
    assert "read-only" in with_(f_flag=os.ST_RDONLY)
