"""The file of those whose new mail is not yet told."""

from pathlib import Path

import pytest

from chatmaild.push.arrival_log import MAX_BYTES, ArrivalLog

ALICE, BOB = "alice1234@chat.example.org", "bob123456@chat.example.org"


def test_another_process_finds_what_was_noted(tmp_path: Path) -> None:
    """Each once, in the order of arrival, readable by nobody else."""
    log = ArrivalLog(tmp_path / "arrivals")
    for address in (BOB, ALICE, BOB):
        log.note(address)

    assert ArrivalLog(tmp_path / "arrivals").left() == [BOB, ALICE]
    assert (tmp_path / "arrivals").stat().st_mode & 0o777 == 0o600


def test_keeps_what_it_is_told_and_goes_on(tmp_path: Path) -> None:
    """What is noted after that comes behind it."""
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
def test_a_damaged_file_costs_only_what_is_damaged(
    tmp_path: Path, content: bytes, left: list[str]
) -> None:
    """A line that was cut short names nobody, or somebody else."""
    (tmp_path / "arrivals").write_bytes(content)

    assert ArrivalLog(tmp_path / "arrivals").left() == left


def test_reads_no_more_than_could_have_been_noted(tmp_path: Path) -> None:
    """Whatever the file has become, the start takes no longer for it."""
    (tmp_path / "arrivals").write_bytes(b"x" * (MAX_BYTES + 5) + b"\n" + ALICE.encode() + b"\n")

    assert ArrivalLog(tmp_path / "arrivals").left() == []


def test_without_the_file_notifications_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One sentence in the log, not one for each message."""
    log = ArrivalLog(tmp_path / "nowhere" / "arrivals")
    for _ in range(3):
        log.note(ALICE)
        log.keep([ALICE])

    assert log.left() == []
    assert caplog.text.count("cannot be used: No such file or directory") == 1
    assert "@" not in caplog.text
