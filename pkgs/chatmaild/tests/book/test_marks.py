from pathlib import Path

from chatmaild.book.marks import Marks

ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"


def test_a_mark_is_its_addresses_alone(tmp_path: Path) -> None:
    """In whatever case Postfix hands the login on."""
    marks = Marks(tmp_path)
    marks.add(ALICE)

    assert ALICE.upper() in marks
    assert BOB not in marks

    marks.remove(ALICE)
    marks.remove(ALICE)

    assert ALICE not in marks


def test_a_mark_names_nobody(tmp_path: Path) -> None:
    """The directory may be looked into by the filter."""
    Marks(tmp_path).add(ALICE)

    [mark] = tmp_path.iterdir()
    assert "alice" not in mark.name
    assert mark.read_bytes() == b""


def test_without_the_directory_nobody_is_marked(tmp_path: Path) -> None:
    """The filter works before the accounts daemon has ever run."""
    assert ALICE not in Marks(tmp_path / "none")


def test_marks_of_before_go_when_all_are_written_anew(tmp_path: Path) -> None:
    """What the book said before a restore, or the setting before a change, holds no longer."""
    marks = Marks(tmp_path)
    marks.add(ALICE)

    marks.replace([BOB])

    assert ALICE not in marks
    assert BOB in marks
