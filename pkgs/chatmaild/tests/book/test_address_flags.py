from pathlib import Path

from chatmaild.book.address_flags import AddressFlags

ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"


def test_a_mark_concerns_one_address(tmp_path: Path) -> None:
    """The letter case in which Postfix passes the login does not matter."""
    marks = AddressFlags(tmp_path)
    marks.add(ALICE)

    assert ALICE.upper() in marks
    assert BOB not in marks

    marks.remove(ALICE)
    marks.remove(ALICE)

    assert ALICE not in marks


def test_a_mark_does_not_reveal_its_address(tmp_path: Path) -> None:
    """The filter can list the directory."""
    AddressFlags(tmp_path).add(ALICE)

    [mark] = tmp_path.iterdir()
    assert "alice" not in mark.name
    assert mark.read_bytes() == b""


def test_without_the_directory_no_address_is_marked(tmp_path: Path) -> None:
    """The filter works before the accounts daemon has ever run."""
    assert ALICE not in AddressFlags(tmp_path / "none")


def test_replacing_all_marks_removes_old_ones(tmp_path: Path) -> None:
    """Marks from before a restored book or a changed setting are no longer valid."""
    marks = AddressFlags(tmp_path)
    marks.add(ALICE)

    marks.replace([BOB])

    assert ALICE not in marks
    assert BOB in marks
