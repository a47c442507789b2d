"""The bot is connected, and its invite published, exactly as long as the relay lets it in."""

import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from chatmaild.config import Echo as EchoConfig
from chatmaild.echo.account import OutError, Standing, claim
from chatmaild.website.facts import CURRENT, ECHO_PICTURE

if TYPE_CHECKING:
    from deltachat_rpc_client import Account

log = logging.getLogger(__name__)


class Presence:
    """Connected, with its invite published, as long as the relay lets the bot in."""

    def __init__(self, account: "Account", echo: EchoConfig, site: Path, word: str | None) -> None:
        """
        Ask with the password; None for a bot that has had another address from before.

        `site` is the directory of the website.
        """
        self._account = account
        self._echo = echo
        self._site = site
        self._word = word
        self._here: bool | None = None

    def look(self) -> None:
        """Ask how the relay sees the account, and follow."""
        try:
            standing = claim(self._echo.socket, self._word) if self._word else Standing.GOOD
        except OutError as error:
            if self._here is not False:
                log.warning("shut out: %s", error)
                self._here = False
                self._account.stop_io()
                self._echo.invite.unlink(missing_ok=True)
            return
        if standing is Standing.NEW and self._here:
            # Core waits long after a login that was refused.
            self._account.stop_io()
            self._here = False
        # At the start a relay that does not answer yet is given the benefit of the doubt.
        if not self._here and (standing is not Standing.UNKNOWN or self._here is None):
            self._account.start_io()
            self._here = True
        elif not self._here or self._is_shown():
            return
        publish(self._echo.invite, self._account.get_qr_code())

    def _is_shown(self) -> bool:
        """Whether the website has it: systemd may have missed that the invite was written."""
        current = self._site / CURRENT
        return not current.exists() or (current / ECHO_PICTURE).exists()


def publish(path: Path, link: str) -> None:
    """Write the link so that a reader sees all of it or nothing; everybody may read it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{link}\n")
        os.fchmod(descriptor, 0o644)
    Path(name).replace(path)
