"""Keeps the bot connected and its invite published exactly while the relay accepts it."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from chatmaild.config import Echo as EchoConfig
from chatmaild.echo.account import AccountRefusedError, Standing, claim
from chatmaild.service.files import write_whole
from chatmaild.website.facts import CURRENT, ECHO_PICTURE

if TYPE_CHECKING:
    from deltachat_rpc_client import Account

log = logging.getLogger(__name__)

# If the website does not show the invite after this time, it is written again.
WEBSITE_SECONDS = 5.0


class Presence:
    """The state of the bot: connected with a published invite, or neither."""

    def __init__(
        self,
        account: "Account",
        echo: EchoConfig,
        site: Path,
        word: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Use this password, or None for a bot that keeps an address from earlier.

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
        """Query the state of the account and act on it; return whether it has changed."""
        try:
            standing = claim(self._echo.socket, self._word) if self._word else Standing.GOOD
        except AccountRefusedError as error:
            if self._here is False:
                return False
            log.warning("the relay refuses the bot: %s", error)
            self._here = False
            self._account.stop_io()
            self._echo.invite.unlink(missing_ok=True)
            return True
        if standing is Standing.NEW and self._here:
            # Stop core, because after a refused login it waits long before it tries again.
            self._account.stop_io()
            self._here = False
        # At the start, a relay that does not answer yet counts as accepting the bot.
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
        """Return whether the website shows the invite; systemd may have missed the change."""
        if self._clock() - self._published < WEBSITE_SECONDS:
            return True
        current = self._site / CURRENT
        return not current.exists() or (current / ECHO_PICTURE).exists()
