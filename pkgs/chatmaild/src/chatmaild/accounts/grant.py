"""
Login and creation of accounts: Dovecot asks with an OAuth2 password grant (RFC 6749 4.3).

Dovecot compares the passwords of known accounts itself and asks here about the rest: unknown
addresses, and wrong passwords of known ones. The answers come from the same book that Dovecot
reads.

Dovecot treats every status other than 200, and every `error` in the answer, as a server error, and
tells the client to try again later. This is how a locked book is reported. A refusal is a 200 with
`"active": "no"`.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol
from urllib.parse import parse_qsl

from aiohttp import web

from chatmaild.accounts import login
from chatmaild.accounts.login import Refusal
from chatmaild.accounts.registration import RegistrationGate
from chatmaild.book.accounts import Account, BookError, NotCreatedError
from chatmaild.config import Config
from chatmaild.dovecot import passwords
from chatmaild.service import http_server
from chatmaild.service.counters import Counters

log = logging.getLogger(__name__)

MAX_FIELDS = 16
# Beyond this number, logins get a temporary error: at 4 ms per hash, 256 take a second.
MAX_WAITING = 256

# Refusals of logins to an account; the others refuse a new one.
OF_ACCOUNTS = frozenset({Refusal.WRONG_PASSWORD, Refusal.BLOCKED})

NOBODYS_PASSWORD = passwords.hash_password(b"nobody's")


class UnavailableError(Exception):
    """No decision is possible right now; the client should try again later."""


class AccountStore(Protocol):
    """The account book for the event loop; both methods raise BookError."""

    async def find(self, address: str) -> Account | None:
        """Look up an account."""

    async def create(
        self, address: str, password: str, *, invited_only: bool, prepare: Callable[[], None]
    ) -> tuple[Account, bool]:
        """Create an account unless it exists; return it, and whether it is new."""


class Grant:
    """Decides about logins and counts the outcomes."""

    def __init__(
        self,
        config: Config,
        accounts: AccountStore,
        hashing: Executor,
        gate: RegistrationGate,
        prepare: Callable[[str], None],
        counters: Counters,
    ) -> None:
        """Hash and compare on `hashing`; call `prepare` before creating an account."""
        self._config = config
        self._accounts = accounts
        self._hashing = hashing
        self._gate = gate
        self._prepare = prepare
        self._counters = counters
        self._waiting = 0

    async def decide(self, address: str, password: bytes) -> Refusal | None:
        """
        Accept a login (None), creating the account if necessary, or return the reason to refuse it.

        Raises:
            UnavailableError: the book cannot be used, or the host is too busy for a new account.

        """
        if self._waiting >= MAX_WAITING:
            raise UnavailableError("too many logins are waiting")
        self._waiting += 1
        try:
            account = await self._accounts.find(address)
            if account is not None:
                return await self._compare(account, password)
            return await self._create(address, password)
        except BookError as error:
            log.error("%s", error)  # noqa: TRY400 - the message is complete
            raise UnavailableError("the account book cannot be used") from None
        finally:
            self._waiting -= 1

    async def _create(self, address: str, password: bytes) -> Refusal | None:
        refusal = login.refuse_creation(address, password, self._config)
        if refusal is not None:
            return refusal
        if self._gate.closed():
            return Refusal.REGISTRATION_CLOSED
        if shortage := self._gate.shortage():
            self._counters.add("registrations_refused", "login", shortage)
            raise UnavailableError(f"no new accounts at the moment: {shortage}")
        loop = asyncio.get_running_loop()
        hashed = await loop.run_in_executor(self._hashing, passwords.hash_password, password)
        try:
            account, created = await self._accounts.create(
                address,
                hashed,
                invited_only=self._gate.invited_only,
                prepare=lambda: self._prepare(address),
            )
        except NotCreatedError as error:
            return Refusal(str(error))
        except OSError as error:
            log.error("an old mailbox cannot be moved away: %s", error.strerror)  # noqa: TRY400
            raise UnavailableError("the mailbox cannot be created") from None
        if not created:
            # A simultaneous first login created the account, perhaps with another password.
            return await self._compare(account, password)
        self._counters.add("accounts_created")
        self._gate.created()
        return None

    async def is_owner(self, address: str, password: bytes) -> bool:
        """
        Return whether this is the password of the account, even if it is blocked.

        The check takes the same time for addresses without an account.

        Raises:
            UnavailableError: the book cannot be used, or too many requests are waiting.

        """
        if self._waiting >= MAX_WAITING:
            raise UnavailableError("too many logins are waiting")
        self._waiting += 1
        try:
            account = await self._accounts.find(address)
            stored = account.password if account else NOBODYS_PASSWORD
            loop = asyncio.get_running_loop()
            equal = await loop.run_in_executor(self._hashing, passwords.verify, password, stored)
        except BookError as error:
            log.error("%s", error)  # noqa: TRY400 - the message is complete
            raise UnavailableError("the account book cannot be used") from None
        finally:
            self._waiting -= 1
        return equal and account is not None

    async def _compare(self, account: Account, password: bytes) -> Refusal | None:
        if account.blocked:
            return Refusal.BLOCKED
        loop = asyncio.get_running_loop()
        equal = await loop.run_in_executor(
            self._hashing, passwords.verify, password, account.password
        )
        return None if equal else Refusal.WRONG_PASSWORD

    @property
    def routes(self) -> list[web.RouteDef]:
        """The one request of Dovecot."""
        return [web.post("/token", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            body = await http_server.read_body(request)
        except web.HTTPRequestEntityTooLarge:
            # An overlong password is not an error of the relay, so Dovecot must not suggest a
            # retry.
            return self._verdict("", Refusal.UNUSABLE_PASSWORD)
        credentials = parse_form(body)
        if credentials is None:
            return http_server.text_response("no password grant", 400)
        address, password = credentials
        try:
            refusal = await self.decide(address, password)
        except UnavailableError as error:
            self._counters.add("logins_unavailable")
            return http_server.text_response(str(error), 503)
        return self._verdict(address, refusal)

    def _verdict(self, address: str, refusal: Refusal | None) -> web.Response:
        if refusal is None:
            self._counters.add("grants")
        elif refusal in OF_ACCOUNTS:
            self._counters.add("logins_refused", refusal.value)
        else:
            self._counters.add("registrations_refused", "login", refusal.value)
        return http_server.json_response(
            {
                "access_token": "unused",
                "username": address,
                "active": "yes" if refusal is None else "no",
            }
        )


def parse_form(body: bytes) -> tuple[str, bytes] | None:
    """
    Read address and password from an `application/x-www-form-urlencoded` body.

    The password remains bytes, as sent by the client. Returns None if the body is not a password
    grant or contains a field twice.
    """
    try:
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return None
    fields = dict(pairs)
    if len(fields) != len(pairs) or fields.get(b"grant_type") != b"password":
        return None
    if b"username" not in fields or b"password" not in fields:
        return None
    return fields[b"username"].decode("utf-8", "replace"), fields[b"password"]
