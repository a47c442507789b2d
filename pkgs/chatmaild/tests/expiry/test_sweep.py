import os
from pathlib import Path

import pytest

from chatmaild.config import Mailbox
from chatmaild.dovecot import maildir
from chatmaild.expiry import sweep
from chatmaild.expiry.policy import SECONDS_PER_DAY, Limits

from .boxes import NOW, Box

LIMITS = Limits(20 * SECONDS_PER_DAY, 7 * SECONDS_PER_DAY, 200_000)
HUNDRED_KB = Mailbox(100_000, 1000, 75, 70)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """Return an empty mailbox."""
    return Box(tmp_path)


def swept(box: Box) -> sweep.Swept:
    """Sweep the mailbox with the default limits."""
    return sweep.sweep(str(box.home), NOW, LIMITS)


def trimmed(box: Box, mailbox: Mailbox = HUNDRED_KB) -> sweep.Amount:
    """Trim the mailbox."""
    return sweep.trim(str(box.home), mailbox, NOW)


@pytest.mark.parametrize("folder", ["", "Archive", "Archive.2026"])
@pytest.mark.parametrize("part", ["new", "cur"])
def test_old_mail_is_deleted_everywhere(box: Box, folder: str, part: str) -> None:
    """Old mail is deleted read or unread, in INBOX and in nested folders."""
    box.message(21, folder=folder, part=part)
    box.message(8, 200_000, folder=folder, part=part)
    kept = box.message(19, folder=folder, part=part)

    result = swept(box)

    assert box.names() == {kept}
    assert result.seen == sweep.Amount(3, 202_000)
    assert result.old == sweep.Amount(1, 1000)
    assert result.large == sweep.Amount(1, 200_000)
    assert result.left == sweep.Amount(1, 1000)


def test_a_copy_is_deleted_with_its_original(box: Box) -> None:
    """IMAP COPY creates a new name but keeps the internal date."""
    for days, size in ((21, 1000), (8, 200_000), (19, 1000)):
        name = box.message(0.1, size, folder="Archive")
        path = box.folder("Archive") / "cur" / name
        os.utime(path, (NOW - days * 86400,) * 2)

    result = swept(box)

    assert box.names() == {name}
    assert (result.old.messages, result.large.messages) == (1, 1)


def test_files_other_than_messages_stay(box: Box) -> None:
    """Dovecot needs its own files beside the messages."""
    names = ("dovecot-uidlist", "dovecot.index.log", "maildirfolder", "subscriptions")
    for name in names:
        (box.home / "Maildir" / name).touch()
        os.utime(box.home / "Maildir" / name, (1, 1))

    swept(box)

    assert box.names() == set(names)


def test_an_unfinished_delivery_is_deleted_after_a_day(box: Box) -> None:
    """A delivery in progress is not disturbed."""
    box.message(2, part="tmp")
    under_way = box.message(0.1, part="tmp")

    assert swept(box).leftovers.messages == 1
    assert box.names() == {under_way}


def test_a_foreign_file_name_is_judged_by_its_file(box: Box) -> None:
    """Other programs also put messages into maildirs."""
    old, new = (box.folder("") / "cur" / name for name in ("old", "new:2,S"))
    for path, days in ((old, 21), (new, 19)):
        path.write_bytes(b"x" * 10)
        os.utime(path, (NOW - days * 86400,) * 2)

    result = swept(box)

    assert box.names() == {"new:2,S"}
    assert result.old == sweep.Amount(1, 10)


def test_a_message_of_unknown_age_stays_and_is_counted(box: Box) -> None:
    """It may have arrived today, before the clock was right."""
    path = box.folder("") / "cur" / "12.M1P1.relay,S=5"
    path.touch()
    os.utime(path, (1, 1))

    assert swept(box).undated == 1
    assert box.names() == {path.name}


def test_a_message_that_vanishes_is_not_an_error(box: Box) -> None:
    """A client may move a message between the scan and the deletion."""
    box.message(21)

    def gone(path: str) -> bool:
        Path(path).unlink()
        return maildir.remove(path)

    result = sweep.sweep(str(box.home), NOW, LIMITS, gone)

    assert result.old.messages == 0


def test_an_account_without_a_mailbox_is_empty(tmp_path: Path) -> None:
    """The first message creates the directories."""
    assert sweep.sweep(str(tmp_path), NOW, LIMITS).seen.messages == 0
    assert trimmed(Box(tmp_path)).messages == 0


def test_trims_the_oldest_of_all_folders(box: Box) -> None:
    """Trimming leaves 70 %, the newest messages of any folder."""
    for days in (9, 8, 7):
        box.message(days, 10_000, folder="Archive")
    kept = {box.message(6, 10_000), box.message(5, 10_000, folder="Archive")}
    kept |= {box.message(days, 10_000, part="new") for days in (4, 3, 2, 1, 0)}

    assert trimmed(box) == sweep.Amount(3, 30_000)
    assert box.names() == kept


def test_trims_by_what_the_quota_counts(box: Box) -> None:
    """W counts line ends as two octets, as Dovecot's quota does. A compressed file is smaller."""
    for number in range(10):
        path = box.folder("") / "cur" / f"{int(NOW) - number}.M1P1.relay,S=1,W=9000:2,"
        path.touch()

    assert trimmed(box).messages == 3


@pytest.mark.parametrize("batch", [sweep.BATCH, 4])
def test_trims_by_the_number_of_messages(
    box: Box, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Tiny messages never fill the quota, but each takes a disk block."""
    monkeypatch.setattr(sweep, "BATCH", batch)
    names = [
        box.message(30 - number, 9, folder="Archive" if number % 2 else "") for number in range(30)
    ]

    assert trimmed(box, Mailbox(100_000, 30, 75, 70)) == sweep.Amount(9, 81)
    assert box.names() == set(names[9:])


def test_leaves_a_mailbox_below_the_threshold_alone(box: Box) -> None:
    """A repeated request must not delete more."""
    for _ in range(7):
        box.message(1, 10_000)

    assert trimmed(box).messages == 0


def test_the_newest_message_stays_however_large(box: Box) -> None:
    """After the operator lowers the limit, a message that has just arrived must not be lost."""
    box.message(2, 90_000)
    newest = box.message(1, 99_000)

    trimmed(box)

    assert box.names() == {newest}


def test_trims_more_than_it_remembers_at_once(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox with a million tiny messages must not take a gigabyte of memory."""
    monkeypatch.setattr(sweep, "BATCH", 4)
    names = [box.message(30 - number, 5_000) for number in range(30)]

    assert trimmed(box).messages == 16
    assert box.names() == set(names[16:])


def test_gives_up_on_a_mailbox_that_is_renamed_all_the_time(box: Box) -> None:
    """Trimming ends even if every path is outdated."""
    for _ in range(10):
        box.message(1, 10_000)

    assert sweep.trim(str(box.home), HUNDRED_KB, NOW, lambda _: False).messages == 0
