from pathlib import Path

from chatmaild import revoked

ALICE = "alice1234@chat.example.org"


def test_a_mark_is_its_addresses_alone(tmp_path: Path) -> None:
    """In whatever case Postfix hands the login on."""
    revoked.mark(tmp_path, ALICE)

    assert revoked.is_marked(tmp_path, ALICE.upper())
    assert not revoked.is_marked(tmp_path, "bob123456@chat.example.org")

    revoked.unmark(tmp_path, ALICE)
    revoked.unmark(tmp_path, ALICE)

    assert not revoked.is_marked(tmp_path, ALICE)


def test_a_mark_names_nobody(tmp_path: Path) -> None:
    """The directory may be looked into by the filter."""
    revoked.mark(tmp_path, ALICE)

    [mark] = tmp_path.iterdir()
    assert "alice" not in mark.name
    assert mark.read_bytes() == b""


def test_without_the_directory_nobody_is_marked(tmp_path: Path) -> None:
    """The filter works before the accounts daemon has ever run."""
    assert not revoked.is_marked(tmp_path / "none", ALICE)
