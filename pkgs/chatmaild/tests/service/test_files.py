import errno
import os
from pathlib import Path

import pytest

from chatmaild.service.files import write_whole


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_file_has_its_content_and_mode(tmp_path: Path, mode: int) -> None:
    """The umask of the unit does not matter."""
    before = os.umask(0o077)
    try:
        write_whole(tmp_path / "file", b"content", mode, durable=True)
    finally:
        os.umask(before)

    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_a_file_belongs_to_the_owner_of_its_directory(tmp_path: Path) -> None:
    """When root renews a certificate by hand, the daemon must be able to read it."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(tmp_path, 12345, 12346)

    write_whole(tmp_path / "file", b"")

    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid) == (12345, 12346)


def test_a_full_disk_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drafts would fill the rest of the disk."""

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


def test_a_leftover_draft_is_replaced(tmp_path: Path) -> None:
    """The writer may have been killed, and the draft may even be a malicious link."""
    (tmp_path / "elsewhere").write_bytes(b"untouched")
    (tmp_path / ".file.new").symlink_to(tmp_path / "elsewhere")

    write_whole(tmp_path / "file", b"content")

    assert (tmp_path / "elsewhere").read_bytes() == b"untouched"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["elsewhere", "file"]


def test_a_missing_directory_is_reported(tmp_path: Path) -> None:
    """The message has the name of the file, not of the draft."""
    path = tmp_path / "nowhere" / "file"

    with pytest.raises(FileNotFoundError) as raised:
        write_whole(path, b"")

    assert raised.value.filename == str(path)
