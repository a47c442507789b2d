"""
The API of this daemon for other programs of the relay: JSON by POST on UNIX sockets.

The socket `control` is for the operator's command and the nightly expiry. `registrar` is for
chatmail-web, which is exposed to the Internet. It may only hand out a name, and delete an account
whose password it presents.

    registrar   /new       {address, invite}     204, 403 or 503 {reason}
                /delete    {address, password}   204, 401 or 503 {reason}
    control     /accounts/block, /unblock, /delete   {address}    200 {warning} or 404 {reason}
                /accounts/expire  {address, before_day}           200 {deleted, warning}
                /accounts/cleartext  {address, allowed}           200 or 404 {reason}
                /invites/add      {uses, days, comment}           200 {id, token, ...}
                /invites/list     {}                              200 {invites: [...]}
                /invites/remove   {id}                            200 or 404 {reason}
                /ready            {}                              200

A reason is a sentence that may be shown to users.
"""

import dataclasses
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from chatmaild.accounts import login
from chatmaild.accounts.grant import Grant, UnavailableError
from chatmaild.accounts.lifecycle import AccountLifecycle
from chatmaild.accounts.registration import RegistrationGate
from chatmaild.book.accounts import BookError
from chatmaild.book.invites import InviteRefusal
from chatmaild.book.thread import BookThread
from chatmaild.config import Config
from chatmaild.dovecot.doveadm import DovecotError
from chatmaild.service import http_server
from chatmaild.service.counters import Counters

log = logging.getLogger(__name__)

# Also for a grant: address and password, percent-encoded, and fields of later Dovecots.
MAX_BODY_BYTES = 8192
MAX_USES = 1_000_000
MAX_DAYS = 36_500
MAX_DAY = 3_000_000  # of the year 10,000
MAX_COMMENT = 200

CLOSED = "This server does not create new addresses at the moment."
BUSY = "This server is too busy to create new addresses. Please try again later."
NO_OWNER = "The address or the password is wrong."
LATER = "This server cannot do that right now. Please try again later."
INVITES = {
    InviteRefusal.MISSING: "This server gives new addresses by invitation only."
    " Please ask somebody who uses it for an invite.",
    InviteRefusal.UNKNOWN: "This invite is not valid."
    " Please check that the link is complete, or ask for a new one.",
    InviteRefusal.EXPIRED: "This invite has expired. Please ask for a new one.",
    InviteRefusal.USED_UP: "This invite has been used up. Please ask for a new one.",
}

type Fields = Mapping[str, Any]
type Action = Callable[[Fields], Awaitable[web.Response]]


class BadRequestError(Exception):
    """The request is invalid; the message is one sentence."""


def routes(actions: Mapping[str, Action]) -> list[web.RouteDef]:
    """Call an action for each POST of a JSON object to its path."""
    return [web.post(path, partial(_act, action)) for path, action in actions.items()]


async def _act(action: Action, request: web.Request) -> web.Response:
    try:
        return await action(_object(await http_server.read_body(request)))
    except BadRequestError as error:
        return _reason(str(error), 400)
    except BookError as error:
        log.error("%s", error)  # noqa: TRY400 - the message is complete
        return _reason(LATER, 503)


class RegistrarRequests:
    """The requests of chatmail-web."""

    def __init__(
        self,
        config: Config,
        book: BookThread,
        gate: RegistrationGate,
        grant: Grant,
        lifecycle: AccountLifecycle,
        counters: Counters,
    ) -> None:
        """Apply the same rules as for a first login."""
        self._config = config
        self._book = book
        self._gate = gate
        self._grant = grant
        self._lifecycle = lifecycle
        self._counters = counters
        self.routes = routes({"/new": self._new, "/delete": self._delete})

    async def _new(self, fields: Fields) -> web.Response:
        address, invite = text_of(fields, "address"), text_of(fields, "invite")
        if login.refuse_name(address, self._config):
            raise BadRequestError("This is not an address of this server.")
        if self._gate.closed():
            return self._refuse("closed", CLOSED, 403)
        if shortage := self._gate.shortage():
            return self._refuse(shortage, BUSY, 503)
        if self._gate.invited_only:
            refused = (
                await self._book.hand_out(invite, address) if invite else InviteRefusal.MISSING
            )
            if refused:
                return self._refuse(refused.value, INVITES[refused], 403)
        self._counters.add("addresses_handed_out")
        return web.Response(status=204)

    def _refuse(self, word: str, reason: str, status: int) -> web.Response:
        self._counters.add("registrations_refused", "new", word)
        return _reason(reason, status)

    async def _delete(self, fields: Fields) -> web.Response:
        address, password = text_of(fields, "address").lower(), text_of(fields, "password")
        try:
            owner = await self._grant.is_owner(address, password.encode("utf-8", "replace"))
            if not owner or not await self._lifecycle.delete(address):
                self._counters.add("deletions_refused")
                return _reason(NO_OWNER, 401)
        except UnavailableError:
            return _reason(LATER, 503)
        except DovecotError as error:
            # The account is deleted. The operator must learn about the open connections.
            log.error("%s; a deleted account may have open connections", error)  # noqa: TRY400
        return web.Response(status=204)


class ControlRequests:
    """The requests of the operator's command."""

    def __init__(self, book: BookThread, lifecycle: AccountLifecycle) -> None:
        """Serve requests with this book and lifecycle."""
        self._book = book
        self._lifecycle = lifecycle
        self.routes = routes(
            {
                "/accounts/block": _on_account(lifecycle.block),
                "/accounts/unblock": _on_account(lifecycle.unblock),
                "/accounts/delete": _on_account(lifecycle.delete),
                "/accounts/expire": self._expire,
                "/accounts/cleartext": self._cleartext,
                "/invites/add": self._add,
                "/invites/list": self._list,
                "/invites/remove": self._remove,
                "/ready": self._ready,
            }
        )

    async def _add(self, fields: Fields) -> web.Response:
        uses = _number(fields, "uses", MAX_USES)
        days = None if fields.get("days") is None else _number(fields, "days", MAX_DAYS)
        comment = text_of(fields, "comment")
        if len(comment) > MAX_COMMENT or not comment.isprintable():
            raise BadRequestError(f"A comment must be one line of up to {MAX_COMMENT} characters.")
        return http_server.json_response(
            dataclasses.asdict(await self._book.add_invite(uses, days, comment))
        )

    async def _expire(self, fields: Fields) -> web.Response:
        address, day = text_of(fields, "address"), _number(fields, "before_day", MAX_DAY)
        try:
            return http_server.json_response(
                {"deleted": await self._lifecycle.delete(address, idle_before=day)}
            )
        except DovecotError as error:
            return http_server.json_response({"deleted": True, "warning": str(error)})

    async def _cleartext(self, fields: Fields) -> web.Response:
        address, allowed = text_of(fields, "address").lower(), fields.get("allowed")
        if allowed not in (True, False, None):
            raise BadRequestError("`allowed` must be true, false or null.")
        try:
            if not await self._lifecycle.choose_cleartext(address, allowed=allowed):
                return _reason(f"there is no account {address}", 404)
        except OSError as error:
            log.error("the filter's flag cannot be written: %s", error.strerror)  # noqa: TRY400
            return _reason("this cannot be stored, see the journal of chatmail-accounts", 503)
        return http_server.json_response({})

    async def _ready(self, _fields: Fields) -> web.Response:
        """Confirm that the daemon works, including the thread of the account book."""
        await self._book.run(lambda: None)
        return http_server.json_response({})

    async def _list(self, _fields: Fields) -> web.Response:
        found = await self._book.run(self._book.invites.list)
        return http_server.json_response(
            {"invites": [dataclasses.asdict(invite) for invite in found]}
        )

    async def _remove(self, fields: Fields) -> web.Response:
        identity = _number(fields, "id", 2**62)
        if await self._book.run(self._book.invites.remove, identity):
            return http_server.json_response({})
        return _reason(f"there is no invite {identity}", 404)


def _on_account(do: Callable[[str], Awaitable[bool]]) -> Action:
    async def action(fields: Fields) -> web.Response:
        address = text_of(fields, "address").lower()
        try:
            if not await do(address):
                return _reason(f"there is no account {address}", 404)
        except DovecotError as error:
            return http_server.json_response({"warning": str(error)})
        return http_server.json_response({})

    return action


def _object(body: bytes) -> Fields:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise BadRequestError("A request must be a JSON object.")
    return fields


def text_of(fields: Fields, name: str) -> str:
    """Return a text field of a request; raises BadRequestError if it is missing or not text."""
    value = fields.get(name)
    # A surrogate is a byte that was not UTF-8, and no part of the relay can store it.
    if not isinstance(value, str) or any("\ud800" <= one <= "\udfff" for one in value):
        raise BadRequestError(f"`{name}` must be text.")
    return value


def _number(fields: Fields, name: str, most: int) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise BadRequestError(f"`{name}` must be a whole number from 1 to {most}.")
    return value


def _reason(text: str, status: int) -> web.Response:
    return http_server.json_response({"reason": text}, status)
