"""
The echo bot's account. Only the bot can open the socket on which it is claimed.

    echo        /account   {password}     200 {created}, 403 or 503 {reason}

A first login cannot create this account (`login.RESERVED_NAMES`). So the bot does not depend on
open registration, and no stranger can take the name first. The password of an existing account is
never changed, because a user may have had the name before it was reserved. The account refuses
unencrypted mail.
"""

import asyncio
from concurrent.futures import Executor

from aiohttp import web

from chatmaild.accounts.lifecycle import AccountLifecycle
from chatmaild.accounts.login import ECHO_NAME
from chatmaild.accounts.requests import LATER, BadRequestError, Fields, routes, text_of
from chatmaild.book.thread import BookThread
from chatmaild.dovecot import passwords
from chatmaild.service import http_server
from chatmaild.service.counters import Counters

BLOCKED = "the account is blocked"
NOT_ITS_OWN = (
    "the account exists with another password; if it is not in use, run `chatmail accounts delete`"
    " so that the bot can have it"
)


class EchoAccount:
    """Creates the bot's account and keeps it from expiring."""

    def __init__(
        self,
        domain: str,
        book: BookThread,
        hashing: Executor,
        lifecycle: AccountLifecycle,
        counters: Counters,
    ) -> None:
        """Hash and compare on `hashing`."""
        self._address = f"{ECHO_NAME}@{domain}"
        self._book = book
        self._hashing = hashing
        self._lifecycle = lifecycle
        self._counters = counters
        self.routes = routes({"/account": self._account})

    async def _account(self, fields: Fields) -> web.Response:
        password = text_of(fields, "password").encode("utf-8", "replace")
        if not passwords.usable(password):
            raise BadRequestError("This is not a valid password.")
        loop = asyncio.get_running_loop()
        account = await self._book.find(self._address)
        created = False
        if account is None:
            hashed = await loop.run_in_executor(self._hashing, passwords.hash_password, password)
            try:
                account, created = await self._book.create(
                    self._address,
                    hashed,
                    prepare=lambda: self._lifecycle.prepare(self._address),
                    own=True,
                )
                if created:
                    # The bot would not answer such mail, and core would leave it on the server.
                    await self._lifecycle.choose_cleartext(self._address, allowed=False)
            except OSError:
                return http_server.json_response({"reason": LATER}, 503)
        if account.blocked:
            return http_server.json_response({"reason": BLOCKED}, 403)
        if not await loop.run_in_executor(
            self._hashing, passwords.verify, password, account.password
        ):
            return http_server.json_response({"reason": NOT_ITS_OWN}, 403)
        # A bot that stays connected for weeks rarely logs in, but is not idle.
        self._book.note_login(self._address)
        if created:
            self._counters.add("echo_created")
        return http_server.json_response({"created": created})
