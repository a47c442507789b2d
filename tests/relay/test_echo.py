"""The echo bot: Delta Chat core on the relay, found through the website."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from harness import deltachat
from harness.browser import DESKTOP, PHONE, Browser, Device, browser
from harness.deltachat import Core, await_message
from harness.process import wait_until
from people import messages
from people.https import get
from people.website import SCREENSHOTS, codes, shown_invite

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay
    from people.strangers import Stranger

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def echo_relay(lab: Lab) -> Relay:
    """A relay with the bot, where only the bot's own limit applies."""
    settings = {"echo": {"enable": True}, "sending": {"burst": 60}}
    return lab.relay("_echo.test", settings)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a browser."""
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """Delta Chat core."""
    with deltachat.core(tmp_path_factory.mktemp("core")) as one:
        yield one


@pytest.fixture(scope="module")
def invite(echo_relay: Relay) -> str:
    """The link on the website, as soon as it is there."""
    return wait_until(
        lambda: shown_invite(echo_relay), "the invite of the echo bot on the website", timeout=60
    )


def test_the_website_shows_its_invite(echo_relay: Relay, invite: str) -> None:
    """The link and the QR code contain the same."""
    _, picture = get(echo_relay, "/qr-echo.png")

    assert codes(picture) == [invite]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_a_camera_reads_it_off_the_page(
    echo_relay: Relay, chromium: Browser, invite: str, device: Device, language: str, *, dark: bool
) -> None:
    """The page also has the relay's invite; the privacy page says that the bot reads."""
    chromium.be(device, dark=dark)
    visit = chromium.open(f"https://{echo_relay.domain}/{language}/")
    where = "phone" if device.mobile else "desktop"
    name = f"echo-{language}-{where}-{'dark' if dark else 'light'}.png"
    seen = codes(chromium.screenshot(SCREENSHOTS / name))

    assert visit.complaints == []
    assert chromium.evaluate("document.documentElement.scrollWidth") <= device.width
    assert set(seen) == {invite, f"DCACCOUNT:https://{echo_relay.domain}/new"}
    chromium.open(f"https://{echo_relay.domain}/{language}/privacy.html")
    assert re.search("echo.bot", chromium.evaluate("document.body.innerText"), re.IGNORECASE)


def test_the_bot_refuses_unencrypted_mail(
    echo_relay: Relay, stranger: Stranger, invite: str
) -> None:
    """The relay accepts newsletters, but the bot could neither answer nor delete them."""
    address = f"echo@{echo_relay.domain}"
    assert address in unquote(invite)
    letter = messages.cleartext(stranger.address(), address)

    with pytest.raises(smtplib.SMTPDataError, match="Encryption Needed"):
        stranger.deliver(echo_relay, letter, address)


def test_answers_with_the_same_words(echo_relay: Relay, core: Core, invite: str) -> None:
    """The test creates an address, opens the invite and sends a message, as a new user would."""
    alice = core.account(echo_relay, "Alice")
    chat = alice.secure_join(invite)
    alice.wait_for_securejoin_joiner_success()
    chat.send_text("Is anybody there?")
    answer = await_message(alice, "Is anybody there?").get_snapshot()

    assert answer.show_padlock
    assert answer.is_bot


def test_does_not_answer_other_bots(echo_relay: Relay, core: Core, invite: str) -> None:
    """Two bots that answer everything would never stop."""
    bot = core.account(echo_relay, "Bot")
    bot.set_config("bot", "1")
    chat = bot.secure_join(invite)
    bot.wait_for_securejoin_joiner_success()
    chat.send_text("I am a bot")
    # Messages of one sender are processed in order. Once this one is answered, the other was not.
    bot.set_config("bot", "0")
    chat.send_text("I am a person")
    await_message(bot, "I am a person")

    texts = [message.get_snapshot() for message in chat.get_messages()]
    received = [one.text for one in texts if one.from_id != 1 and not one.is_info]
    assert received == ["I am a person"]


def test_answers_are_rate_limited(echo_relay: Relay, core: Core, invite: str) -> None:
    """A user with a loop of their own gets ten answers, not a flood."""
    alice = core.account(echo_relay, "Alice")
    chat = alice.secure_join(invite)
    alice.wait_for_securejoin_joiner_success()
    for number in range(13):
        chat.send_text(f"number {number}")
    await_message(alice, "number 9")

    texts = [message.get_snapshot() for message in chat.get_messages()]
    answers = [one.text for one in texts if one.from_id != 1 and one.text.startswith("number")]
    assert len(answers) <= 11


def test_keeps_no_mail_on_the_server(echo_relay: Relay, invite: str) -> None:
    """Messages are deleted as soon as they are read."""
    where = f"/var/lib/chatmail/mail/echo@{echo_relay.domain}"

    def kept() -> list[str]:
        found = echo_relay.machine.run(
            ["find", where, "-path", "*/cur/*", "-o", "-path", "*/new/*"]
        )
        return found.out.split()

    assert echo_relay.machine.run(["test", "-d", where], check=False).status == 0
    wait_until(lambda: not kept(), "an empty mailbox of the bot", timeout=30)


def test_can_connect_only_to_its_relay(echo_relay: Relay) -> None:
    """Core can fetch URLs and place calls; the bot's core cannot."""
    said = echo_relay.machine.run(
        ["systemctl", "show", "chatmail-echo", "-p", "IPAddressDeny", "-p", "MainPID"]
    ).out

    assert "IPAddressDeny=::/0 0.0.0.0/0" in said or "0.0.0.0/0 ::/0" in said


def test_logs_no_personal_data(echo_relay: Relay) -> None:
    """The journal contains no address, no text and no link."""
    said = echo_relay.machine.journal("chatmail-echo")

    assert "ready" in said
    for word in ("@", "anybody there", "i.delta.chat"):
        assert word not in said


def test_a_restart_keeps_its_address(echo_relay: Relay, core: Core, invite: str) -> None:
    """A printed invite stays valid."""
    echo_relay.machine.run(["systemctl", "restart", "chatmail-echo"], timeout=120)
    published = echo_relay.machine.run(["cat", "/run/chatmail-echo/invite"]).out.strip()

    def address(link: str) -> str:
        return re.sub(r".*&a=([^&]*).*", r"\1", link)

    assert address(published) == address(invite)
    alice = core.account(echo_relay, "Alice")
    chat = alice.secure_join(published)
    alice.wait_for_securejoin_joiner_success()
    chat.send_text("Still there?")
    await_message(alice, "Still there?")


def test_a_stop_is_not_an_error(echo_relay: Relay) -> None:
    """Systemd stopped its core first, and the journal had a traceback."""
    machine = echo_relay.machine
    for _ in range(3):
        machine.run(["systemctl", "restart", "chatmail-echo"], timeout=120)

    assert "Traceback" not in machine.journal("chatmail-echo")
    assert machine.failed_units() == []


def test_memory_use_is_printed(echo_relay: Relay) -> None:
    """Core is the largest program of a relay, so an increase should be visible."""
    pids = echo_relay.machine.run(["pgrep", "-u", "chatmail-echo"]).out.split()
    total = 0
    for pid in pids:
        rollup = echo_relay.machine.run(["cat", f"/proc/{pid}/smaps_rollup"]).out
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        total += int(found[1]) if found else 0
    print(f"echo bot: {total // 1024} MB in {len(pids)} processes")
    assert 0 < total < 150 * 1024
