"""
Packs files with owner and mode into a tar archive, for a machine that is running or not.

The archive contains owners by name. The machine's own tar looks them up in the machine's users.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# --touch sets new times: a daemon that checks for changes (Knot) must notice two within the same
# second, which is an archive's resolution.
UNPACK = [
    *("tar", "--extract", "--file=-", "--directory=/"),
    *("--preserve-permissions", "--same-owner", "--no-overwrite-dir", "--touch"),
]


@dataclass(frozen=True)
class File:
    """A file with owner and mode; `mode` is octal text ("0644")."""

    text: str | bytes
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"

    @property
    def data(self) -> bytes:
        """The bytes to write."""
        return self.text.encode() if isinstance(self.text, str) else self.text


def pack(files: Mapping[str, File]) -> bytes:
    """Return an archive of files by absolute path; missing parents belong to root, mode 0755."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for parent in sorted(
            {up for path in files for up in Path(path).parents if up != Path("/")}
        ):
            entry = tarfile.TarInfo(str(parent).lstrip("/"))
            entry.type, entry.mode, entry.uname, entry.gname = (
                tarfile.DIRTYPE,
                0o755,
                "root",
                "root",
            )
            archive.addfile(entry)
        for path, file in sorted(files.items()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(file.data), int(file.mode, 8)
            entry.uname, entry.gname = file.owner, file.group
            # An owner that the machine does not know must not silently become root.
            entry.uid = entry.gid = 0 if file.owner == "root" else 65534
            archive.addfile(entry, io.BytesIO(file.data))
    return buffer.getvalue()


def tree(source: Path, target: str, pattern: str = "**/*") -> dict[str, File]:
    """Return the files below `source` for installation below `target`, keeping the x bit."""
    return {
        f"{target}/{path.relative_to(source)}": File(
            path.read_bytes(), mode="0755" if path.stat().st_mode & 0o100 else "0644"
        )
        for path in sorted(source.glob(pattern))
        if path.is_file() and "__pycache__" not in path.parts
    }
