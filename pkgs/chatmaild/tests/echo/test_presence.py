"""The bot's invite is where people look for it, exactly while the bot answers."""

from pathlib import Path

import pytest

from chatmaild.config import Echo
from chatmaild.echo import presence
from chatmaild.echo.account import OutError, Standing
from chatmaild.website.facts import CURRENT, ECHO_PICTURE

LINK = "https://i.delta.chat/#0123"


class Account:
    """What is used of core's."""

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
    """A bot, and what the relay says of it."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the bot in."""
        self.says: Standing | OutError = Standing.GOOD
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
        if isinstance(self.says, OutError):
            raise self.says
        return self.says

    def shows(self, *files: str) -> None:
        """Put a website there."""
        current = self.site / CURRENT
        current.mkdir(parents=True)
        for name in files:
            (current / name).touch()


@pytest.fixture
def relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Relay:
    """Hand over a relay with a bot that has not looked yet."""
    return Relay(tmp_path, monkeypatch)


@pytest.mark.parametrize("says", [Standing.GOOD, Standing.NEW, Standing.UNKNOWN])
def test_a_bot_that_starts_is_offered(relay: Relay, says: Standing) -> None:
    """Also when the relay cannot say yet: it starts at the same time."""
    relay.says = says

    assert relay.presence.look()
    assert relay.account.online
    assert relay.invite.read_text() == f"{LINK}\n"


def test_a_bot_that_is_shut_out_is_offered_to_nobody(relay: Relay) -> None:
    """Until it is let in again, and not because nobody can say."""
    relay.presence.look()
    relay.says = OutError("blocked")
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
    """It came while the site was being written, and systemd forgets such a change."""
    relay.presence.look()
    relay.shows("index.html")
    before = relay.invite.stat().st_ino

    relay.now += presence.WEBSITE_SECONDS
    assert not relay.presence.look()
    assert relay.invite.stat().st_ino != before
    assert relay.invite.read_text() == f"{LINK}\n"


def test_a_website_that_is_being_written_is_waited_for(relay: Relay) -> None:
    """Writing it takes a small machine seconds, and meanwhile it does not show the bot."""
    relay.presence.look()
    relay.shows("index.html")
    before = relay.invite.stat().st_ino

    relay.now += presence.WEBSITE_SECONDS - 1
    relay.presence.look()
    assert relay.invite.stat().st_ino == before


def test_an_invite_that_is_shown_is_left_alone(relay: Relay) -> None:
    """Each change of it is a new website."""
    relay.presence.look()
    relay.shows(ECHO_PICTURE)
    before = relay.invite.stat().st_ino

    relay.now += presence.WEBSITE_SECONDS
    assert not relay.presence.look()
    assert relay.invite.stat().st_ino == before
