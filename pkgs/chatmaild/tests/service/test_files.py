import errno
import os
from pathlib import Path

import pytest

from chatmaild.service.files import write_whole


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_file_has_its_content_and_mode(tmp_path: Path, mode: int) -> None:
    """Whatever the umask of the unit takes away."""
    before = os.umask(0o077)
    try:
        write_whole(tmp_path / "file", b"content", mode, durable=True)
    finally:
        os.umask(before)

    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_a_file_belongs_to_the_owner_of_its_directory(tmp_path: Path) -> None:
    """Root renews a certificate by hand, and the daemon must read it."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(tmp_path, 12345, 12346)

    write_whole(tmp_path / "file", b"")

    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid) == (12345, 12346)


def test_a_full_disk_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drafts that stay would fill what is left of the disk."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "file"
    write_whole(path, b"old")
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left") as raised:
        write_whole(path, b"new", durable=True)

    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_the_draft_of_a_writer_that_was_killed_goes(tmp_path: Path) -> None:
    """It is not in the way, and nobody may have put a link in its place."""
    (tmp_path / "elsewhere").write_bytes(b"untouched")
    (tmp_path / ".file.new").symlink_to(tmp_path / "elsewhere")

    write_whole(tmp_path / "file", b"content")

    assert (tmp_path / "elsewhere").read_bytes() == b"untouched"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["elsewhere", "file"]


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    """By the file's own name, not the draft's."""
    path = tmp_path / "nowhere" / "file"

    with pytest.raises(FileNotFoundError) as raised:
        write_whole(path, b"")

    assert raised.value.filename == str(path)
