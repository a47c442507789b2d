"""The bot is connected, and its invite published, exactly as long as the relay lets it in."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from chatmaild.config import Echo as EchoConfig
from chatmaild.echo.account import OutError, Standing, claim
from chatmaild.service.files import write_whole
from chatmaild.website.facts import CURRENT, ECHO_PICTURE

if TYPE_CHECKING:
    from deltachat_rpc_client import Account

log = logging.getLogger(__name__)

# The website is given that long to show an invite before it is written once more.
WEBSITE_SECONDS = 5.0


class Presence:
    """Connected, with its invite published, as long as the relay lets the bot in."""

    def __init__(
        self,
        account: "Account",
        echo: EchoConfig,
        site: Path,
        word: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Ask with the password; None for a bot that has had another address from before.

        `site` is the directory of the website.
        """
        self._account = account
        self._echo = echo
        self._site = site
        self._word = word
        self._clock = clock
        self._published = 0.0
        self._here: bool | None = None

    def look(self) -> bool:
        """Ask how the relay sees the account, and follow; whether that has changed."""
        try:
            standing = claim(self._echo.socket, self._word) if self._word else Standing.GOOD
        except OutError as error:
            if self._here is False:
                return False
            log.warning("shut out: %s", error)
            self._here = False
            self._account.stop_io()
            self._echo.invite.unlink(missing_ok=True)
            return True
        if standing is Standing.NEW and self._here:
            # Core waits long after a login that was refused.
            self._account.stop_io()
            self._here = False
        # At the start a relay that does not answer yet is given the benefit of the doubt.
        if not self._here and (standing is not Standing.UNKNOWN or self._here is None):
            self._account.start_io()
            self._here = True
            self._publish()
            return True
        if self._here and not self._is_shown():
            self._publish()
        return False

    def _publish(self) -> None:
        # Everybody may read it.
        write_whole(self._echo.invite, f"{self._account.get_qr_code()}\n".encode(), 0o644)
        self._published = self._clock()

    def _is_shown(self) -> bool:
        """Whether the website has it, or soon: systemd may have missed that it was written."""
        if self._clock() - self._published < WEBSITE_SECONDS:
            return True
        current = self._site / CURRENT
        return not current.exists() or (current / ECHO_PICTURE).exists()
