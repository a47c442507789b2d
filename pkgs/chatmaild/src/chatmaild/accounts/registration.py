"""
Decides whether the relay accepts a new account right now.

The same check runs before a name is handed out and before an account is created. So a name that was
handed out is hardly ever refused. Changes by the operator take effect immediately.
"""

import logging
import time
from collections.abc import Callable

from chatmaild import admission
from chatmaild.config import Config
from chatmaild.service.ratelimit import RateLimit

log = logging.getLogger(__name__)

SECONDS_PER_HOUR = 3600


class RegistrationGate:
    """
    Decides whether registration is open, closed, or paused for lack of resources.

    The relay accepts a limited number of accounts an hour, at once or spread. A limit per network
    does not apply to accounts that are created by logging in, because a first login does not show
    the client's network. Without the hourly limit, such accounts would fill the disk up to
    `admission.minFreeDisk` within hours. The relay would then accept no accounts until those have
    been idle for months.
    """

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        """Warn if the sandbox hides a value that an admission limit applies to."""
        self._config = config
        self._clock = clock
        per_hour = config.accounts.max_per_hour
        self._created = RateLimit(SECONDS_PER_HOUR / per_hour, per_hour) if per_hour else None
        host = admission.read_host(config.paths.mailboxes)
        for key in admission.unreadable(host, config.admission):
            log.warning("`%s` has no effect: the host's value cannot be read in this sandbox", key)

    def closed(self) -> bool:
        """Return whether the setting or the operator's stop closes registration."""
        return self._config.registration == "closed" or admission.nocreate(
            self._config.paths.nocreate
        )

    @property
    def invited_only(self) -> bool:
        """Whether an account needs an invite."""
        return self._config.registration == "invite"

    def shortage(self) -> str | None:
        """Return what is short, as a word for counters, or None."""
        host = admission.read_host(self._config.paths.mailboxes)
        if pressure := admission.decide(host, self._config.admission):
            return pressure.value
        limit = self._created
        return "rate" if limit is not None and limit.peek("", self._clock()) else None

    def created(self) -> None:
        """Count a created account."""
        if self._created is not None:
            self._created.take("", self._clock())
