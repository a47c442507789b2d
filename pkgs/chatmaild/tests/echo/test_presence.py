"""The bot's invite is on the website exactly while the bot answers."""

from pathlib import Path

import pytest

from chatmaild.config import Echo
from chatmaild.echo import presence
from chatmaild.echo.account import AccountRefusedError, Standing
from chatmaild.website.facts import CURRENT, ECHO_PICTURE

LINK = "https://i.delta.chat/#0123"


class Account:
    """The part of core's account that the bot uses."""

    def __init__(self) -> None:
        """Start offline."""
        self.online = False

    def start_io(self) -> None:
        """Connect."""
        self.online = True

    def stop_io(self) -> None:
        """Disconnect."""
        self.online = False

    def get_qr_code(self) -> str:
        """Return the invite."""
        return LINK


class Relay:
    """A bot, and the relay's answers about it."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Accept the bot."""
        self.says: Standing | AccountRefusedError = Standing.GOOD
        self.account = Account()
        self.invite = place / "invite"
        self.site = place / "site"
        echo = Echo(state=place, invite=self.invite, server=place / "s", socket=place / "x")
        self.now = 1000.0
        self.presence = presence.Presence(
            self.account,  # type: ignore[arg-type]
            echo,
            self.site,
            "word",
            lambda: self.now,
        )
        monkeypatch.setattr(presence, "claim", self._claim)

    def _claim(self, _socket: Path, _word: str) -> Standing:
        if isinstance(self.says, AccountRefusedError):
            raise self.says
        return self.says

    def shows(self, *files: str) -> None:
        """Publish a website."""
        current = self.site / CURRENT
        current.mkdir(parents=True)
        for name in files:
            (current / name).touch()


@pytest.fixture
def relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Relay:
    """Return a relay with a bot that has not checked yet."""
    return Relay(tmp_path, monkeypatch)


@pytest.mark.parametrize("says", [Standing.GOOD, Standing.NEW, Standing.UNKNOWN])
def test_a_starting_bot_is_published(relay: Relay, says: Standing) -> None:
    """The relay may not answer yet, because it starts at the same time."""
    relay.says = says

    assert relay.presence.look()
    assert relay.account.online
    assert relay.invite.read_text() == f"{LINK}\n"


def test_a_refused_bot_is_not_published(relay: Relay) -> None:
    """It is published again when the relay accepts it, but not just because the relay is silent."""
    relay.presence.look()
    relay.says = AccountRefusedError("blocked")
    assert relay.presence.look()
    assert not relay.account.online
    assert not relay.invite.exists()
    assert not relay.presence.look()

    relay.says = Standing.UNKNOWN
    assert not relay.presence.look()
    assert not relay.invite.exists()

    relay.says = Standing.GOOD
    assert relay.presence.look()
    assert relay.account.online
    assert relay.invite.exists()


def test_an_invite_that_the_website_missed_is_written_again(relay: Relay) -> None:
    """If the invite changes while the website is rendered, systemd misses the change."""
    relay.presence.look()
    relay.shows("index.html")
    before = relay.invite.stat().st_ino

    relay.now += presence.WEBSITE_SECONDS
    assert not relay.presence.look()
    assert relay.invite.stat().st_ino != before
    assert relay.invite.read_text() == f"{LINK}\n"


def test_waits_while_the_website_is_rendered(relay: Relay) -> None:
    """Rendering takes seconds on a small machine, and meanwhile the bot is not shown."""
    relay.presence.look()
    relay.shows("index.html")
    before = relay.invite.stat().st_ino

    relay.now += presence.WEBSITE_SECONDS - 1
    relay.presence.look()
    assert relay.invite.stat().st_ino == before


def test_an_invite_that_is_shown_is_left_alone(relay: Relay) -> None:
    """Each change of the file renders the website again."""
    relay.presence.look()
    relay.shows(ECHO_PICTURE)
    before = relay.invite.stat().st_ino

    relay.now += presence.WEBSITE_SECONDS
    assert not relay.presence.look()
    assert relay.invite.stat().st_ino == before
