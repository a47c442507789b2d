"""Deletes the mailboxes of deleted accounts: renamed immediately, removed a little later."""

import contextlib
import logging
import shutil
import uuid
from pathlib import Path

log = logging.getLogger(__name__)


class Mailboxes:
    """The directory of all mailboxes, and a trash directory beside it."""

    def __init__(self, root: Path) -> None:
        """Put the trash beside `root`, so that `root` contains only mailboxes."""
        self._root = root
        self._trash = root.with_name(root.name + ".deleted")

    def discard(self, address: str) -> None:
        """
        Move the mailbox of an address to the trash, if there is one; raises OSError.

        A rename is atomic, so no process sees a half-deleted mailbox, whatever its size.
        """
        mailbox = self._root / address
        self._trash.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            mailbox.rename(self._trash / uuid.uuid4().hex)

    def empty_trash(self) -> None:
        """Delete the contents of the trash; try again next time if something cannot be deleted."""
        try:
            for mailbox in self._trash.iterdir():
                shutil.rmtree(mailbox, ignore_errors=True)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.error("%s: cannot be emptied: %s", self._trash, error.strerror)  # noqa: TRY400
