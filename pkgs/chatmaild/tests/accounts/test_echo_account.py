"""How the echo bot gets its account, and that no one else does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.asking import Doveadm, active, ask, mailbox
from chatmaild.book.address_flags import AddressFlags
from chatmaild.echo.account import AccountRefusedError, Standing, claim, password
from running import Daemon

ECHO = "echo@chat.example.org"
PASSWORD = "the-bots-own-password"


@pytest.fixture
def with_echo(
    start: Callable[[], Daemon], settings: dict[str, Any], sections: dict[str, dict[str, Any]]
) -> Callable[[], Daemon]:
    """Start a daemon with a bot."""
    settings["echo"] = sections["echo"]
    return start


def socket(daemon: Daemon) -> Path:
    """Return the bot's socket."""
    return daemon.directory / "echo.sock"


@pytest.mark.parametrize("registration", ["open", "invite", "closed"])
def test_the_bot_gets_its_account_despite_all_limits(
    with_echo: Callable[[], Daemon], settings: dict[str, Any], registration: str
) -> None:
    """The name is shorter than others may be, and the hourly limit is used up."""
    settings["registration"] = registration
    settings["accounts"]["maxPerHour"] = 1
    daemon = with_echo()
    active(daemon)

    assert claim(socket(daemon), PASSWORD) is Standing.NEW
    assert claim(socket(daemon), PASSWORD) is Standing.GOOD
    assert active(daemon, ECHO, PASSWORD)
    assert "echo_created=1" in daemon.stop()


def test_the_bot_refuses_unencrypted_mail(
    with_echo: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """The relay accepts newsletters, and the operator can change the bot's rule later."""
    daemon = with_echo()
    exceptions = AddressFlags(Path(settings["paths"]["exceptions"]))
    assert ECHO not in exceptions

    claim(socket(daemon), PASSWORD)
    assert ECHO in exceptions
    ask(daemon, "control", "/accounts/cleartext", address=ECHO, allowed=True)
    claim(socket(daemon), PASSWORD)
    assert ECHO not in exceptions


def test_a_first_login_does_not_create_it(
    with_echo: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """The bot may not exist yet, may be deleted, or names may be short."""
    settings["accounts"]["nameMinLength"] = 1
    daemon = with_echo()

    assert not active(daemon, ECHO, PASSWORD)
    assert ask(daemon, "registrar", "/new", address=ECHO, invite="")[0] == 400
    assert claim(socket(daemon), PASSWORD) is Standing.NEW
    assert not active(daemon, ECHO, "another-password")


def test_without_a_bot_the_name_is_reserved(
    start: Callable[[], Daemon], settings: dict[str, Any]
) -> None:
    """A user who had the name before the bot is enabled would keep it."""
    settings["accounts"]["nameMinLength"] = 1
    daemon = start()

    assert not active(daemon, ECHO, PASSWORD)
    assert not socket(daemon).exists()
    assert claim(socket(daemon), PASSWORD) is Standing.UNKNOWN


def test_a_deleted_bot_comes_back_to_an_empty_mailbox(
    with_echo: Callable[[], Daemon], doveadm: Doveadm
) -> None:
    """The grace period does not apply to the bot."""
    daemon = with_echo()
    claim(socket(daemon), PASSWORD)
    home = mailbox(daemon, ECHO)
    ask(daemon, "control", "/accounts/delete", address=ECHO)

    assert not active(daemon, ECHO, PASSWORD)
    assert claim(socket(daemon), PASSWORD) is Standing.NEW
    assert active(daemon, ECHO, PASSWORD)
    assert not home.exists()


def test_a_blocked_bot_gets_the_reason(with_echo: Callable[[], Daemon], doveadm: Doveadm) -> None:
    """The bot is accepted again when the operator unblocks it."""
    daemon = with_echo()
    claim(socket(daemon), PASSWORD)
    ask(daemon, "control", "/accounts/block", address=ECHO)

    with pytest.raises(AccountRefusedError, match="the account is blocked"):
        claim(socket(daemon), PASSWORD)
    ask(daemon, "control", "/accounts/unblock", address=ECHO)
    assert claim(socket(daemon), PASSWORD) is Standing.GOOD


def test_an_existing_password_is_never_changed(with_echo: Callable[[], Daemon]) -> None:
    """A user may have had the name before it was reserved."""
    daemon = with_echo()
    claim(socket(daemon), PASSWORD)

    with pytest.raises(AccountRefusedError, match="another password"):
        claim(socket(daemon), "of-a-bot-without-its-state")
    assert active(daemon, ECHO, PASSWORD)


@pytest.mark.parametrize("fields", [{}, {"password": 5}, {"password": ""}, {"password": "x" * 73}])
def test_an_invalid_password_is_refused(
    with_echo: Callable[[], Daemon], fields: dict[str, Any]
) -> None:
    """As on all sockets, the answer is one sentence, and no account is created."""
    daemon = with_echo()

    status, answer = ask(daemon, "echo", "/account", **fields)

    assert (status, list(answer)) == (400, ["reason"])
    assert claim(socket(daemon), PASSWORD) is Standing.NEW


def test_the_password_is_created_once_and_private(tmp_path: Path) -> None:
    """An interrupted start can be continued, and only the owner can read the file."""
    (tmp_path / ".password.new").write_text("half")
    first = password(tmp_path)

    assert password(tmp_path) == first
    assert len(first) >= 40
    assert [path.name for path in tmp_path.iterdir()] == ["password"]
    assert (tmp_path / "password").stat().st_mode & 0o777 == 0o600
