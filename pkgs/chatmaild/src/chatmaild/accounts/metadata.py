"""
The meaning of the keys in Dovecot's dicts.

IMAP METADATA (RFC 5464) arrives as `priv/<GUID>/...` and `shared/<GUID>/...`, where the GUID names
the user's INBOX. A GUID grants no access: the user is always taken from the line, where Dovecot
puts the authenticated one. Two more keys are not METADATA: the last login, and the arrival of new
mail. Both are acknowledged before they are processed, because a client or a delivery waits for the
answer.
"""

import enum
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from chatmaild.accounts import turn
from chatmaild.accounts.app_versions import AppVersions
from chatmaild.book.accounts import BookError
from chatmaild.config import Config
from chatmaild.dovecot.dict_protocol import Change, Increment, Set, Timestamp, Unset
from chatmaild.dovecot.dict_server import DictRefusedError
from chatmaild.service.ratelimit import RateLimit

# Returns the current value of a server entry for a user, or None for NIL.
Entry = Callable[[str], str | None]

_GUID = "[0-9a-f]{32}"
_DEVICE_TOKEN = re.compile(f"priv/{_GUID}/devicetoken", re.ASCII)
# `GETMETADATA "" (/shared/vendor/deltachat/...)`: entries of the server, not of a mailbox.
_SERVER_ENTRY = re.compile(
    f"shared/{_GUID}/vendor/vendor\\.dovecot/pvt/server/vendor/deltachat/([a-z]{{1,40}})", re.ASCII
)
# Dovecot unsets this entry for every deleted folder, whether it was set or not.
_COMMENT = re.compile(f"(?:priv|shared)/{_GUID}/comment", re.ASCII)
_LAST_LOGIN = "shared/last-login/"
_NEW_MAIL = "priv/status/INBOX"
# Printable ASCII without space (which separates tokens), `"` and `\` (which would need quoting).
_TOKEN = re.compile(r"[!#-\[\]-~]{1,4096}", re.ASCII)


class Key(enum.Enum):
    """The kinds of keys."""

    DEVICE_TOKEN = enum.auto()
    COMMENT = enum.auto()
    SERVER_ENTRY = enum.auto()
    LAST_LOGIN = enum.auto()
    NEW_MAIL = enum.auto()
    UNKNOWN = enum.auto()


class TokenStore(Protocol):
    """The storage of device tokens; every method may raise BookError."""

    def add(self, address: str, token: str) -> Awaitable[bool]:
        """Add or renew a token; return False if there is no such account."""

    def list(self, address: str) -> Awaitable[Sequence[str]]:
        """Return the tokens that have not expired."""

    def remove(self, address: str) -> Awaitable[None]:
        """Delete all tokens of an account."""


class NoTokens:
    """
    Stores no device tokens, on a relay without push notifications.

    Setting a token nevertheless succeeds. Clients set tokens wherever they find other METADATA
    (docs/wire.md, "METADATA"), and a refusal would look like a broken server.
    """

    async def add(self, _address: str, _token: str) -> bool:
        """Accept and ignore a token."""
        return True

    async def list(self, _address: str) -> Sequence[str]:
        """List none."""
        return []

    async def remove(self, _address: str) -> None:
        """Do nothing."""


def classify(key: str) -> tuple[Key, str]:
    """Return the kind of a key and its variable part: the name of an entry, or an address."""
    if _DEVICE_TOKEN.fullmatch(key):
        return Key.DEVICE_TOKEN, ""
    if _COMMENT.fullmatch(key):
        return Key.COMMENT, ""
    if entry := _SERVER_ENTRY.fullmatch(key):
        return Key.SERVER_ENTRY, entry[1]
    if key.startswith(_LAST_LOGIN):
        return Key.LAST_LOGIN, key.removeprefix(_LAST_LOGIN)
    if key == _NEW_MAIL:
        return Key.NEW_MAIL, ""
    return Key.UNKNOWN, ""


def server_entries(config: Config, clock: Callable[[], float] = time.time) -> dict[str, Entry]:
    """Return the entries that every client may read below `/shared/vendor/deltachat/`."""
    entries: dict[str, Entry] = {
        "irohrelay": lambda _user: config.metadata.iroh_relay,
        "maxsmtprecipients": lambda _user: str(config.sending.max_recipients),
    }
    if server := config.metadata.turn:
        entries["turn"] = lambda user: turn.entry(server, user, clock())
    if path := config.metadata.app_versions:
        versions = AppVersions(path)
        entries["appversions"] = lambda _user: versions.line()
    return entries


class MetadataHandler:
    """The handler of the dict server."""

    def __init__(
        self,
        entries: Mapping[str, Entry],
        tokens: TokenStore,
        on_login: Callable[[str], None],
        on_presence: Callable[[str], None],
        on_new_mail: Callable[[str, str], None],
    ) -> None:
        """
        Answer with `entries` and `tokens`; the callbacks must not block.

        All callbacks take an address. `on_new_mail` also takes Dovecot's status (see
        push.Arrivals). `on_presence` reports activity of a user without a login.
        """
        self._entries = entries
        self._tokens = tokens
        self._on_login = on_login
        self._on_presence = on_presence
        self._on_new_mail = on_new_mail
        self._refusals = RateLimit(3, burst=20)

    async def lookup(self, key: str, user: str) -> str | None:
        """Return the value of a key for this user, or None if it has none."""
        kind, name = classify(key)
        if kind is Key.SERVER_ENTRY:
            # A client may keep a connection for months. Its requests for new TURN credentials are
            # then the only sign of use, so they keep the account from expiring.
            self._on_presence(user)
            entry = self._entries.get(name)
            return entry(user) if entry else None
        if kind is Key.DEVICE_TOKEN:
            try:
                return " ".join(await self._tokens.list(user)) or None
            except BookError:
                raise DictRefusedError("the account book cannot be read") from None
        return None

    async def iterate(self, _path: str, _user: str) -> Sequence[tuple[str, str]]:
        """
        Return nothing: entries are read by name only.

        When a folder is deleted, Dovecot deletes the entries in this list. The GUID does not tell
        INBOX from other folders, so the device tokens would be lost with any folder.
        """
        return []

    async def commit(self, user: str, changes: Sequence[Change]) -> None:
        """Apply the changes in order; apply nothing if one of them is refused."""
        try:
            for change in changes:
                self._check(user, change)
        except DictRefusedError:
            # Dovecot logs each refusal. A client that causes many is answered with success.
            if self._refusals.wait("", time.monotonic()):
                return
            raise
        try:
            for change in changes:
                await self._apply(user, change)
        except BookError:
            raise DictRefusedError("the account book cannot be written") from None

    def _check(self, user: str, change: Change) -> None:
        if isinstance(change, Timestamp):
            return  # No key uses the time of a change.
        kind, name = classify(change.key)
        if kind is Key.COMMENT and isinstance(change, Unset):
            return
        if kind in {Key.UNKNOWN, Key.COMMENT, Key.SERVER_ENTRY} or isinstance(change, Increment):
            raise DictRefusedError("this entry cannot be set")
        if kind is Key.LAST_LOGIN and name != user:
            raise DictRefusedError("a login is recorded for its own user only")
        if (
            kind is Key.DEVICE_TOKEN
            and isinstance(change, Set)
            and not _TOKEN.fullmatch(change.value)
        ):
            raise DictRefusedError(
                "a device token must have 1 to 4096 printable ASCII characters without space,"
                ' `"` or `\\`'
            )

    async def _apply(self, user: str, change: Change) -> None:
        if not isinstance(change, Set | Unset):
            return
        kind, _ = classify(change.key)
        if kind is Key.DEVICE_TOKEN:
            if isinstance(change, Unset):
                await self._tokens.remove(user)
            elif not await self._tokens.add(user, change.value):
                raise DictRefusedError("there is no such account")
        elif isinstance(change, Set) and kind is Key.NEW_MAIL:
            self._on_new_mail(user, change.value)
        elif isinstance(change, Set):
            self._on_login(user)
