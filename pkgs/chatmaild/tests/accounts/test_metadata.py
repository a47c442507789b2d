import asyncio
import base64
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from chatmaild.accounts.metadata import MetadataHandler, server_entries
from chatmaild.book.accounts import BookError
from chatmaild.config import load
from chatmaild.dovecot.dict_protocol import Increment, Set, Timestamp, Unset
from chatmaild.dovecot.dict_server import DictRefusedError

GUID = "0123456789abcdef0123456789abcdef"
TOKEN_KEY = f"priv/{GUID}/devicetoken"
SERVER = f"shared/{GUID}/vendor/vendor.dovecot/pvt/server/vendor/deltachat/"
ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"


class FakeTokens:
    """Tokens of Alice and Bob, in memory."""

    def __init__(self) -> None:
        """Start with one token of Bob."""
        self.kept: dict[str, list[str]] = {ALICE: [], BOB: ["bobs-token"]}
        self.broken = False

    async def add(self, address: str, token: str) -> bool:
        """Add a token."""
        if address not in self.kept:
            return False
        self.kept[address].append(token)
        return True

    async def list(self, address: str) -> list[str]:
        """Return the tokens."""
        if self.broken:
            raise BookError("book: locked")
        return self.kept.get(address, [])

    async def remove(self, address: str) -> None:
        """Delete the tokens."""
        self.kept[address] = []


@pytest.fixture
def tokens() -> FakeTokens:
    """Return the tokens behind the handler."""
    return FakeTokens()


@pytest.fixture
def events() -> list[tuple[str, str]]:
    """Return the calls of the callbacks."""
    return []


@pytest.fixture
def metadata(tokens: FakeTokens, events: list[tuple[str, str]]) -> MetadataHandler:
    """Return the handler."""
    return MetadataHandler(
        {"maxsmtprecipients": lambda _user: "1000", "turn": lambda _user: None},
        tokens,
        lambda address: events.append(("login", address)),
        lambda address: events.append(("presence", address)),
        lambda address, mark: events.append((mark, address)),
    )


def test_a_token_set_can_be_read_back(metadata: MetadataHandler) -> None:
    """SETMETADATA appends, GETMETADATA returns all, joined by one space."""
    asyncio.run(metadata.commit(ALICE, [Set(1, TOKEN_KEY, "fcm-1"), Timestamp(1, 2, 3)]))
    asyncio.run(metadata.commit(ALICE, [Set(1, TOKEN_KEY, "openpgp:AAAA+/=")]))

    assert asyncio.run(metadata.lookup(TOKEN_KEY, ALICE)) == "fcm-1 openpgp:AAAA+/="


def test_nil_deletes_the_tokens(metadata: MetadataHandler) -> None:
    """A client signs off by setting NIL."""
    asyncio.run(metadata.commit(BOB, [Unset(1, TOKEN_KEY)]))

    assert asyncio.run(metadata.lookup(TOKEN_KEY, BOB)) is None


def test_deleting_a_folder_keeps_the_tokens(metadata: MetadataHandler) -> None:
    """Dovecot unsets everything below the folder's GUID; once, DELETE failed with SERVERBUG."""
    for kind in ("priv", "shared"):
        found = asyncio.run(metadata.iterate(f"{kind}/{GUID}/", BOB))
        keys = [key for key, _ in found] + [f"{kind}/{GUID}/comment"]
        asyncio.run(metadata.commit(BOB, [Unset(1, key) for key in keys]))

    assert asyncio.run(metadata.lookup(TOKEN_KEY, BOB)) == "bobs-token"


def test_tokens_are_private_to_their_user(metadata: MetadataHandler, tokens: FakeTokens) -> None:
    """The GUID in a key grants no access; only the user that Dovecot names counts."""
    assert asyncio.run(metadata.lookup(TOKEN_KEY, ALICE)) is None

    asyncio.run(metadata.commit(ALICE, [Unset(1, TOKEN_KEY)]))

    assert tokens.kept[BOB] == ["bobs-token"]


@pytest.mark.parametrize("token", ["", "a b", 'a"b', "a\\b", "a\tb", "ä", "a\n", "x" * 4097])
def test_refuses_invalid_tokens(metadata: MetadataHandler, tokens: FakeTokens, token: str) -> None:
    """Tokens are joined in one line without quoting, so special characters are refused."""
    with pytest.raises(DictRefusedError, match="printable ASCII"):
        asyncio.run(metadata.commit(ALICE, [Set(1, TOKEN_KEY, token)]))

    assert tokens.kept[ALICE] == []


def test_a_flood_of_refusals_is_not_reported_to_dovecot(
    metadata: MetadataHandler, tokens: FakeTokens
) -> None:
    """Dovecot would log each of them. Nothing is stored in either case."""
    refused = 0
    for _ in range(1000):
        try:
            asyncio.run(metadata.commit(ALICE, [Set(1, TOKEN_KEY, "not a token")]))
        except DictRefusedError:
            refused += 1

    assert 20 <= refused <= 30
    assert tokens.kept[ALICE] == []


def test_takes_the_longest_token(metadata: MetadataHandler) -> None:
    """The limit itself is allowed."""
    asyncio.run(metadata.commit(ALICE, [Set(1, TOKEN_KEY, "x" * 4096)]))

    assert asyncio.run(metadata.lookup(TOKEN_KEY, ALICE)) == "x" * 4096


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (SERVER + "maxsmtprecipients", "1000"),
        (SERVER + "turn", None),
        (SERVER + "unknown", None),
        (SERVER + "../maxsmtprecipients", None),
        (f"shared/{GUID}/vendor/deltachat/maxsmtprecipients", None),
        (f"shared/{GUID}/devicetoken", None),
        (f"priv/{GUID}/other", None),
        (f"priv/{GUID}x/devicetoken", None),
        ("shared/last-login/" + BOB, None),
        ("priv/status/INBOX", None),
        ("", None),
    ],
)
def test_answers_known_entries_only(metadata: MetadataHandler, key: str, value: str | None) -> None:
    """Any other key has no value, but is not an error."""
    assert asyncio.run(metadata.lookup(key, ALICE)) == value


@pytest.mark.parametrize(
    "change",
    [
        Set(1, SERVER + "maxsmtprecipients", "1"),
        Set(1, f"priv/{GUID}/messagenew", "1"),
        Unset(1, f"priv/{GUID}/other"),
        Set(1, f"priv/{GUID}/comment", "x"),
        Increment(1, TOKEN_KEY, 1),
        Set(1, f"shared/last-login/{BOB}", "1"),
    ],
)
def test_refuses_the_whole_transaction(
    metadata: MetadataHandler, tokens: FakeTokens, events: list[tuple[str, str]], change: Set
) -> None:
    """One change that is not allowed makes the whole transaction fail."""
    with pytest.raises(DictRefusedError):
        asyncio.run(metadata.commit(ALICE, [Set(1, TOKEN_KEY, "token"), change]))

    assert tokens.kept[ALICE] == []
    assert events == []


def test_a_request_counts_as_activity(
    metadata: MetadataHandler, events: list[tuple[str, str]]
) -> None:
    """A login may last for months, and its account must not be deleted as idle."""
    asyncio.run(metadata.lookup(f"{SERVER}turn", ALICE))

    assert events == [("presence", ALICE)]


def test_reports_logins_and_new_mail(
    metadata: MetadataHandler, events: list[tuple[str, str]]
) -> None:
    """Both callbacks get the user of the transaction."""
    asyncio.run(metadata.commit(ALICE, [Set(1, f"shared/last-login/{ALICE}", "1795213297")]))
    asyncio.run(metadata.commit(BOB, [Set(1, "priv/status/INBOX", "1")]))

    assert events == [("login", ALICE), ("1", BOB)]


def test_a_locked_book_is_not_a_missing_token(
    metadata: MetadataHandler, tokens: FakeTokens
) -> None:
    """After NIL a client would set its token again; after NO it tries later."""
    tokens.broken = True

    with pytest.raises(DictRefusedError, match="cannot be read"):
        asyncio.run(metadata.lookup(TOKEN_KEY, BOB))


def test_a_deleted_account_cannot_set_tokens(metadata: MetadataHandler) -> None:
    """A session may outlive its account."""
    with pytest.raises(DictRefusedError, match="no such account"):
        asyncio.run(metadata.commit("gone12345@chat.example.org", [Set(1, TOKEN_KEY, "t")]))


def test_entries_come_from_the_configuration(tmp_path: Path, settings: dict[str, Any]) -> None:
    """An entry set to null is absent, which IMAP shows as NIL."""
    settings["metadata"]["irohRelay"] = "https://chat.example.org"
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))

    entries = {name: entry(ALICE) for name, entry in server_entries(load(path)).items()}

    assert entries == {"irohrelay": "https://chat.example.org", "maxsmtprecipients": "1000"}


def test_an_account_has_the_same_turn_credentials_for_a_day(
    tmp_path: Path, settings: dict[str, Any], sections: dict[str, dict[str, Any]]
) -> None:
    """The TURN server bounds each username, so requesting more must not give more usernames."""
    settings["metadata"]["turn"] = sections["turn"]
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    now = [1_000_000.5]
    entry = server_entries(load(path), lambda: now[0])["turn"]
    assert entry(ALICE) is None

    (tmp_path / "secretFile").write_text("north\n")

    first = str(entry(ALICE))
    host, port, expiry, password = first.split(":")
    assert (host, port) == ("chat.example.org", "3478")
    assert 13 * 3600 <= int(expiry) - 1_000_000 < 37 * 3600
    digest = hmac.new(b"north", expiry.encode(), "sha1").digest()
    assert password == base64.b64encode(digest).decode()
    assert entry("other1234@chat.example.org") != first
    seen = set()
    for hour in range(48):
        now[0] = 1_000_000.5 + 3600 * hour
        seen.add(str(entry(ALICE)))
    assert len(seen) == 3
    assert first in seen
