"""The file with addresses whose new mail is not notified yet."""

from pathlib import Path

import pytest

from chatmaild.push.arrival_log import MAX_BYTES, ArrivalLog

ALICE, BOB = "alice1234@chat.example.org", "bob123456@chat.example.org"


def test_the_next_process_finds_the_entries(tmp_path: Path) -> None:
    """Each address appears once, in order of arrival, and no other user can read the file."""
    log = ArrivalLog(tmp_path / "arrivals")
    for address in (BOB, ALICE, BOB):
        log.note(address)

    assert ArrivalLog(tmp_path / "arrivals").left() == [BOB, ALICE]
    assert (tmp_path / "arrivals").stat().st_mode & 0o777 == 0o600


def test_replaces_its_content_and_continues(tmp_path: Path) -> None:
    """Later entries are appended."""
    log = ArrivalLog(tmp_path / "arrivals")
    log.note(ALICE)
    log.keep([BOB, BOB])
    log.note(ALICE)

    assert (tmp_path / "arrivals").read_text() == f"{BOB}\n{ALICE}\n"
    log.keep(())
    assert (tmp_path / "arrivals").read_bytes() == b""
    assert [path.name for path in tmp_path.iterdir()] == ["arrivals"]


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (b"", []),
        (b"rubbish\n\n\xff\n", []),
        (ALICE.encode() + b"\n" + BOB.encode()[:5], [ALICE]),
        (b"\xff@chat.example.org\n", ["\udcff@chat.example.org"]),
    ],
)
def test_a_damaged_file_loses_only_damaged_lines(
    tmp_path: Path, content: bytes, left: list[str]
) -> None:
    """An incomplete line contains no address, or a wrong one."""
    (tmp_path / "arrivals").write_bytes(content)

    assert ArrivalLog(tmp_path / "arrivals").left() == left


def test_reads_a_limited_amount(tmp_path: Path) -> None:
    """A huge file must not delay the start."""
    (tmp_path / "arrivals").write_bytes(b"x" * (MAX_BYTES + 5) + b"\n" + ALICE.encode() + b"\n")

    assert ArrivalLog(tmp_path / "arrivals").left() == []


def test_notifications_work_without_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has one line, not one for each message."""
    log = ArrivalLog(tmp_path / "nowhere" / "arrivals")
    for _ in range(3):
        log.note(ALICE)
        log.keep([ALICE])

    assert log.left() == []
    assert caplog.text.count("cannot be used: No such file or directory") == 1
    assert "@" not in caplog.text
