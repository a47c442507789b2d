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
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from urllib.parse import quote

from aiohttp import web

from chatmaild.config import Config
from chatmaild.service import http_server
from chatmaild.service.counters import Counters
from chatmaild.web import mxdeliv
from chatmaild.web.credentials import dclogin_url, fresh_credentials

# Clients of the first relays use the second path.
NEW = ("/new", "/cgi-bin/newemail.py")
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

    @property
    def routes(self) -> list[web.RouteDef]:
        """All requests."""
        return [
            *(web.post(path, self._post_new) for path in NEW),
            *(web.get(path, self._get_new) for path in NEW),
            web.post("/delete", self._delete),
            web.post("/mxdeliv", partial(mxdeliv.answer, self._config, self._counters)),
        ]

    async def _post_new(self, request: web.Request) -> web.Response:
        await http_server.read_body(request)
        return await self._credentials(_token(request))

    async def _get_new(self, request: web.Request) -> web.Response:
        # The page of a self-signed relay fetches the link by script. On other relays, a person who
        # opens an invite in a browser is redirected to the client.
        if self._self_signed:
            return await self._credentials(_token(request))
        return self._invite(_token(request))

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

    async def _delete(self, request: web.Request) -> web.Response:
        await http_server.read_body(request)
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
    except ValueError:  # not ASCII, not base64 or not UTF-8
        return None
    return (user, password) if colon and user and password else None


def _unauthorized(reason: str) -> web.Response:
    challenge = {"WWW-Authenticate": 'Basic realm="account", charset="UTF-8"'}
    return http_server.json_response({"reason": reason}, 401, challenge)


def _token(request: web.Request) -> str:
    """Return the invite's token; relays create only ASCII ones."""
    return request.query.get("t", "")[:MAX_TOKEN].encode("ascii", "replace").decode()
