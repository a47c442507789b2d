"""Writes files atomically."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes, mode: int = 0o600, *, durable: bool = False) -> None:
    """
    Write a file so that readers see its whole content or the old one.

    With `durable` the file survives a power failure after this returns. It gets the owner of its
    directory, even if root writes it. Only one process may write it at a time.

    Raises:
        OSError: the file cannot be written, and the old one is unchanged; the error names `path`.

    """
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.unlink(missing_ok=True)  # left by a process that was killed
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                # Only root may change owners, and the sandbox of our units forbids it.
                if os.geteuid() == 0:
                    owner = path.parent.stat()
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
                os.fchmod(descriptor, mode)
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(descriptor)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        if durable:
            sync_directory(path.parent)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power failure; raises OSError."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
