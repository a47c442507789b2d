"""
What the keys of Dovecot's dicts mean on a chatmail relay.

IMAP METADATA (RFC 5464) reaches us as `priv/<GUID>/...` and `shared/<GUID>/...`, where GUID names
the user's INBOX; a GUID is no permission, so the user always comes from the line itself, where
Dovecot put the one who logged in. Two more keys are no METADATA: the last login, and the mark that
new mail has arrived. Both are answered before anything is done about them, because a client and a
delivery wait for the answer.
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
from chatmaild.dovecot.dict_server import Refused

# What a server entry says now; None is NIL.
Entry = Callable[[], str | None]

_GUID = "[0-9a-f]{32}"
_DEVICE_TOKEN = re.compile(f"priv/{_GUID}/devicetoken", re.ASCII)
# `GETMETADATA "" (/shared/vendor/deltachat/...)`: entries of the server, not of a mailbox.
_SERVER_ENTRY = re.compile(
    f"shared/{_GUID}/vendor/vendor\\.dovecot/pvt/server/vendor/deltachat/([a-z]{{1,40}})", re.ASCII
)
# What Dovecot unsets with every folder that is deleted, whether it was ever set or not.
_COMMENT = re.compile(f"(?:priv|shared)/{_GUID}/comment", re.ASCII)
_LAST_LOGIN = "shared/last-login/"
_NEW_MAIL = "priv/status/INBOX"
# Printable ASCII without space (tokens are joined by it), `"` and `\` (they would need quoting).
_TOKEN = re.compile(r"[!#-\[\]-~]{1,4096}", re.ASCII)


class Key(enum.Enum):
    """The kinds of keys there are."""

    DEVICE_TOKEN = enum.auto()
    COMMENT = enum.auto()
    SERVER_ENTRY = enum.auto()
    LAST_LOGIN = enum.auto()
    NEW_MAIL = enum.auto()
    UNKNOWN = enum.auto()


class Tokens(Protocol):
    """Where device tokens are kept; every method may raise BookError."""

    def add(self, address: str, token: str) -> Awaitable[bool]:
        """Add or renew one; False when there is no such account."""

    def list(self, address: str) -> Awaitable[Sequence[str]]:
        """List those that have not expired."""

    def remove(self, address: str) -> Awaitable[None]:
        """Forget all of an account."""


class NoTokens:
    """
    Where a relay without push keeps device tokens: nowhere.

    Setting one succeeds all the same. Clients set tokens wherever they find other METADATA
    (WIRE contract 2.3), and a refusal would look to them like a broken server.
    """

    async def add(self, _address: str, _token: str) -> bool:
        """Forget it at once."""
        return True

    async def list(self, _address: str) -> Sequence[str]:
        """List none."""
        return []

    async def remove(self, _address: str) -> None:
        """There is none."""


def classify(key: str) -> tuple[Key, str]:
    """Say what kind of key this is, with the part that varies: entry name or address."""
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
    """Return the entries every client may read below `/shared/vendor/deltachat/`."""
    entries: dict[str, Entry] = {
        "irohrelay": lambda: config.metadata.iroh_relay,
        "maxsmtprecipients": lambda: str(config.sending.max_recipients),
    }
    if server := config.metadata.turn:
        entries["turn"] = lambda: turn.entry(server, clock())
    if path := config.metadata.app_versions:
        entries["appversions"] = AppVersions(path)
    return entries


class Metadata:
    """The handler of the dict server."""

    def __init__(
        self,
        entries: Mapping[str, Entry],
        tokens: Tokens,
        on_login: Callable[[str], None],
        on_presence: Callable[[str], None],
        on_new_mail: Callable[[str, str], None],
    ) -> None:
        """
        Answer with `entries` and `tokens`; the callbacks must not block.

        All take an address, `on_new_mail` Dovecot's mark besides (see push.Arrivals). Presence is
        somebody's sign of life who does not log in.
        """
        self._entries = entries
        self._tokens = tokens
        self._on_login = on_login
        self._on_presence = on_presence
        self._on_new_mail = on_new_mail

    async def lookup(self, key: str, user: str) -> str | None:
        """Return the value of a key for this user; None for a key that has none."""
        kind, name = classify(key)
        if kind is Key.SERVER_ENTRY:
            # A client may hold one connection for months; asking for new TURN credentials is then
            # the only sign that somebody is there, and keeps the account from being idle.
            self._on_presence(user)
            entry = self._entries.get(name)
            return entry() if entry else None
        if kind is Key.DEVICE_TOKEN:
            try:
                return " ".join(await self._tokens.list(user)) or None
            except BookError:
                raise Refused("the account book cannot be read") from None
        return None

    async def iterate(self, _path: str, _user: str) -> Sequence[tuple[str, str]]:
        """
        List nothing: entries are read by their names.

        Dovecot deletes a folder's entries with the folder, by this list, and the GUID does not say
        whether it is INBOX that asks. The device tokens in it would go with any folder.
        """
        return []

    async def commit(self, user: str, changes: Sequence[Change]) -> None:
        """Apply the changes in their order; nothing is applied when one of them is refused."""
        for change in changes:
            self._check(user, change)
        try:
            for change in changes:
                await self._apply(user, change)
        except BookError:
            raise Refused("the account book cannot be written") from None

    def _check(self, user: str, change: Change) -> None:
        if isinstance(change, Timestamp):
            return  # No key keeps the time of its change.
        kind, name = classify(change.key)
        if kind is Key.COMMENT and isinstance(change, Unset):
            return
        if kind in {Key.UNKNOWN, Key.COMMENT, Key.SERVER_ENTRY} or isinstance(change, Increment):
            raise Refused("this entry cannot be set")
        if kind is Key.LAST_LOGIN and name != user:
            raise Refused("a login is recorded for its own user only")
        if (
            kind is Key.DEVICE_TOKEN
            and isinstance(change, Set)
            and not _TOKEN.fullmatch(change.value)
        ):
            raise Refused(
                'a device token has 1 to 4096 printable ASCII characters, no space, `"` or `\\`'
            )

    async def _apply(self, user: str, change: Change) -> None:
        if not isinstance(change, Set | Unset):
            return
        kind, _ = classify(change.key)
        if kind is Key.DEVICE_TOKEN:
            if isinstance(change, Unset):
                await self._tokens.remove(user)
            elif not await self._tokens.add(user, change.value):
                raise Refused("there is no such account")
        elif isinstance(change, Set) and kind is Key.NEW_MAIL:
            self._on_new_mail(user, change.value)
        elif isinstance(change, Set):
            self._on_login(user)
