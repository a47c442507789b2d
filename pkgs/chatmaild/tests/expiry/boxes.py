"""Creates mailboxes on disk quickly, with empty files: their names contain all that is needed."""

from pathlib import Path

DAY = 86400
NOW = 1_795_000_000.0


class Box:
    """A mailbox below `mailboxes`."""

    def __init__(self, mailboxes: Path, address: str = "alice0000@chat.example.org") -> None:
        """Create an empty INBOX."""
        self.address = address
        self.home = mailboxes / address
        self.folder("")
        self._number = 0

    def folder(self, name: str) -> Path:
        """Create a Maildir++ folder; "" is INBOX."""
        path = self.home / "Maildir" / (f".{name}" if name else "")
        for part in ("cur", "new", "tmp"):
            (path / part).mkdir(parents=True, exist_ok=True)
        return path

    def message(self, days: float, size: int = 1000, *, folder: str = "", part: str = "cur") -> str:
        """Create a message that arrived this many days ago; return its file name."""
        self._number += 1
        stamp = int(NOW - days * DAY)
        name = f"{stamp}.M{self._number}P7.relay,S={size},W={size}"
        name += ":2,S" if part == "cur" else ""
        (self.folder(folder) / part / name).touch()
        return name

    def names(self) -> set[str]:
        """Return the names of all files."""
        return {path.name for path in self.home.rglob("*") if path.is_file()}
