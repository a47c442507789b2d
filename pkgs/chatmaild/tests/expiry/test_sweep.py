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
    """Make an empty mailbox."""
    return Box(tmp_path)


def swept(box: Box) -> sweep.Swept:
    """Sweep it with the default limits."""
    return sweep.sweep(str(box.home), NOW, LIMITS)


def trimmed(box: Box, mailbox: Mailbox = HUNDRED_KB) -> sweep.Amount:
    """Trim it."""
    return sweep.trim(str(box.home), mailbox, NOW)


@pytest.mark.parametrize("folder", ["", "Archive", "Archive.2026"])
@pytest.mark.parametrize("part", ["new", "cur"])
def test_old_mail_goes_wherever_it_is(box: Box, folder: str, part: str) -> None:
    """Read or not, in INBOX or in a folder of a folder."""
    box.message(21, folder=folder, part=part)
    box.message(8, 200_000, folder=folder, part=part)
    kept = box.message(19, folder=folder, part=part)

    result = swept(box)

    assert box.names() == {kept}
    assert result.seen == sweep.Amount(3, 202_000)
    assert result.old == sweep.Amount(1, 1000)
    assert result.large == sweep.Amount(1, 200_000)
    assert result.left == sweep.Amount(1, 1000)


def test_a_copy_goes_with_its_original(box: Box) -> None:
    """What IMAP's COPY makes: a new name, the internal date of old."""
    for days, size in ((21, 1000), (8, 200_000), (19, 1000)):
        name = box.message(0.1, size, folder="Archive")
        path = box.folder("Archive") / "cur" / name
        os.utime(path, (NOW - days * 86400,) * 2)

    result = swept(box)

    assert box.names() == {name}
    assert (result.old.messages, result.large.messages) == (1, 1)


def test_what_is_no_message_stays(box: Box) -> None:
    """Dovecot's own files beside the messages are its memory of them."""
    names = ("dovecot-uidlist", "dovecot.index.log", "maildirfolder", "subscriptions")
    for name in names:
        (box.home / "Maildir" / name).touch()
        os.utime(box.home / "Maildir" / name, (1, 1))

    swept(box)

    assert box.names() == set(names)


def test_an_unfinished_delivery_goes_after_a_day(box: Box) -> None:
    """A delivery under way is not disturbed."""
    box.message(2, part="tmp")
    under_way = box.message(0.1, part="tmp")

    assert swept(box).leftovers.messages == 1
    assert box.names() == {under_way}


def test_a_name_that_tells_nothing_is_judged_by_its_file(box: Box) -> None:
    """Other programs put messages into maildirs too."""
    old, new = (box.folder("") / "cur" / name for name in ("old", "new:2,S"))
    for path, days in ((old, 21), (new, 19)):
        path.write_bytes(b"x" * 10)
        os.utime(path, (NOW - days * 86400,) * 2)

    result = swept(box)

    assert box.names() == {"new:2,S"}
    assert result.old == sweep.Amount(1, 10)


def test_a_message_that_nobody_can_date_stays_and_is_counted(box: Box) -> None:
    """It may have come today, before the clock was right."""
    path = box.folder("") / "cur" / "12.M1P1.relay,S=5"
    path.touch()
    os.utime(path, (1, 1))

    assert swept(box).undated == 1
    assert box.names() == {path.name}


def test_what_dovecot_takes_away_meanwhile_is_no_fault(box: Box) -> None:
    """A client moves a message between the look into the directory and the deletion."""
    box.message(21)

    def gone(path: str) -> bool:
        Path(path).unlink()
        return maildir.remove(path)

    result = sweep.sweep(str(box.home), NOW, LIMITS, gone)

    assert result.old.messages == 0


def test_an_account_without_a_mailbox_is_empty(tmp_path: Path) -> None:
    """Directories come with the first message."""
    assert sweep.sweep(str(tmp_path), NOW, LIMITS).seen.messages == 0
    assert trimmed(Box(tmp_path)).messages == 0


def test_trims_the_oldest_of_all_folders(box: Box) -> None:
    """Until 70 % are left; what came last stays, wherever it is."""
    for days in (9, 8, 7):
        box.message(days, 10_000, folder="Archive")
    kept = {box.message(6, 10_000), box.message(5, 10_000, folder="Archive")}
    kept |= {box.message(days, 10_000, part="new") for days in (4, 3, 2, 1, 0)}

    assert trimmed(box) == sweep.Amount(3, 30_000)
    assert box.names() == kept


def test_trims_by_what_the_quota_counts(box: Box) -> None:
    """W counts line ends as two octets, as Dovecot's quota does; a compressed file is small."""
    for number in range(10):
        path = box.folder("") / "cur" / f"{int(NOW) - number}.M1P1.relay,S=1,W=9000:2,"
        path.touch()

    assert trimmed(box).messages == 3


@pytest.mark.parametrize("batch", [sweep.BATCH, 4])
def test_trims_by_the_number_of_messages(
    box: Box, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Messages of a few octets never fill a mailbox, but each takes a block of the disk."""
    monkeypatch.setattr(sweep, "BATCH", batch)
    names = [
        box.message(30 - number, 9, folder="Archive" if number % 2 else "") for number in range(30)
    ]

    assert trimmed(box, Mailbox(100_000, 30, 75, 70)) == sweep.Amount(9, 81)
    assert box.names() == set(names[9:])


def test_leaves_a_mailbox_below_the_mark_alone(box: Box) -> None:
    """A request that comes twice must not cost twice."""
    for _ in range(7):
        box.message(1, 10_000)

    assert trimmed(box).messages == 0


def test_the_newest_message_stays_however_large(box: Box) -> None:
    """An operator has lowered the limit: nobody loses what came a moment ago."""
    box.message(2, 90_000)
    newest = box.message(1, 99_000)

    trimmed(box)

    assert box.names() == {newest}


def test_trims_more_than_it_remembers_at_once(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox of a million tiny messages must not cost a gigabyte of memory."""
    monkeypatch.setattr(sweep, "BATCH", 4)
    names = [box.message(30 - number, 5_000) for number in range(30)]

    assert trimmed(box).messages == 16
    assert box.names() == set(names[16:])


def test_gives_up_on_a_mailbox_that_is_renamed_all_the_time(box: Box) -> None:
    """It ends even when every path is stale."""
    for _ in range(10):
        box.message(1, 10_000)

    assert sweep.trim(str(box.home), HUNDRED_KB, NOW, lambda _: False).messages == 0
