"""
The HTTPS requests of chatmail clients: a new address, and the deletion of an account.

`POST /new` answers the scan of an invite with a name and a password. The first login creates the
account. This endpoint only makes up the credentials. chatmail-accounts checks whether that login
would be refused, and then gives a reason for the client to show. `?t=` contains an invite's token.

`POST /delete` deletes an account with all of its data. Address and password come by HTTP Basic
authentication (RFC 7617). A wrong password and an unknown address get the same answer after the
same time.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from aiohttp import web

from chatmaild.config import Config
from chatmaild.service import http_server
from chatmaild.service.counters import Counters
from chatmaild.web import mxdeliv
from chatmaild.web.credentials import dclogin_url, fresh_credentials

# Clients of the first relays use the second path.
NEW = frozenset({"/new", "/cgi-bin/newemail.py"})
DELETE = "/delete"
# By contract the body is empty, but a client that sends a form is served too.
MAX_BODY_BYTES = 4096
# The maximum length of an invite's token; real ones are shorter.
MAX_TOKEN = 100
NO_OWNER = "The address or the password is wrong."

type Ask = Callable[[str, Mapping[str, str]], Awaitable[tuple[int, str]]]


class App:
    """Answers requests and counts the outcomes."""

    def __init__(self, config: Config, ask: Ask, counters: Counters) -> None:
        """Send questions to chatmail-accounts with `ask`, so no change needs a restart."""
        self._config = config
        self._ask = ask
        self._counters = counters
        self._self_signed = config.certificate.source == "self-signed"

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.path == mxdeliv.PATH:
            return await mxdeliv.answer(request, self._config, self._counters)
        if request.path in NEW:
            return await self._new(request)
        if request.path == DELETE:
            return await self._delete(request)
        return http_server.text_response("not found", 404)

    async def _new(self, request: web.BaseRequest) -> web.Response:
        token = request.query.get("t", "")[:MAX_TOKEN]
        if request.method == "POST":
            refused = await _bad_body(request)
            return await self._credentials(token) if refused is None else refused
        if request.method in {"GET", "HEAD"}:
            # A script on a self-signed relay's page fetches the link. On other relays, a user who
            # opens an invite in a browser is redirected to the client.
            if self._self_signed:
                return await self._credentials(token)
            return self._invite(token)
        return http_server.text_response("only GET or POST", 405, {"Allow": "GET, HEAD, POST"})

    def _invite(self, token: str) -> web.Response:
        self._counters.add("redirected")
        location = f"dcaccount:https://{self._config.host}/new"
        if token:
            location += f"?t={quote(token, safe='')}"
        return http_server.text_response(location, 301, {"Location": location})

    async def _credentials(self, token: str) -> web.Response:
        credentials = fresh_credentials(self._config)
        status, reason = await self._ask("/new", {"address": credentials.email, "invite": token})
        if reason:
            self._counters.add("refused", str(status))
            headers = {"Retry-After": "60"} if status == 503 else {}  # noqa: PLR2004
            return http_server.json_response({"reason": reason}, status, headers)
        self._counters.add("handed_out")
        answer = {"email": credentials.email, "password": credentials.password}
        if self._self_signed:
            answer["dclogin_url"] = dclogin_url(credentials, self._config.host)
        return http_server.json_response(answer)

    async def _delete(self, request: web.BaseRequest) -> web.Response:
        if request.method != "POST":
            return http_server.text_response("only POST", 405, {"Allow": "POST"})
        refused = await _bad_body(request)
        if refused is not None:
            return refused
        credentials = basic_credentials(request.headers.get("Authorization", ""))
        if credentials is None:
            return _unauthorized(NO_OWNER)
        address, password = credentials
        status, reason = await self._ask("/delete", {"address": address, "password": password})
        if status == 401:  # noqa: PLR2004 - RFC 9110 15.5.2
            self._counters.add("deletions_refused")
            return _unauthorized(reason)
        if reason:
            return http_server.json_response({"reason": reason}, status)
        self._counters.add("deleted")
        return http_server.json_response({"deleted": address.lower()})


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Parse user and password from an Authorization field (RFC 7617); None if one is missing."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon and user and password else None


def _unauthorized(reason: str) -> web.Response:
    challenge = {"WWW-Authenticate": 'Basic realm="account", charset="UTF-8"'}
    return http_server.json_response({"reason": reason}, 401, challenge)


async def _bad_body(request: web.BaseRequest) -> web.Response | None:
    """Read and ignore the body; return an answer if it is too large or too slow."""
    try:
        if await http_server.read_body(request, MAX_BODY_BYTES) is None:
            return http_server.text_response("the body is too large", 413)
    except TimeoutError:
        return http_server.text_response("the body is late", 408)
    return None
