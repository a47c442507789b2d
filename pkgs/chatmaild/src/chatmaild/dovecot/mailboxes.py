"""The mailboxes of accounts that are no more: out of the way at once, gone a little later."""

import contextlib
import shutil
import uuid
from pathlib import Path


class Mailboxes:
    """The directory of all mailboxes, and one beside it for what is to be deleted."""

    def __init__(self, root: Path) -> None:
        """Use a directory beside `root`, so that nothing in `root` is anything but a mailbox."""
        self._root = root
        self._trash = root.with_name(root.name + ".deleted")

    def discard(self, address: str) -> None:
        """
        Take away the mailbox of an address, if there is one; raises OSError.

        A rename, so that nobody sees half of it, whatever its size.
        """
        mailbox = self._root / address
        self._trash.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            mailbox.rename(self._trash / uuid.uuid4().hex)

    def empty_trash(self) -> None:
        """Delete what was discarded; what cannot be deleted now is tried the next time."""
        with contextlib.suppress(FileNotFoundError):
            for mailbox in self._trash.iterdir():
                shutil.rmtree(mailbox, ignore_errors=True)
