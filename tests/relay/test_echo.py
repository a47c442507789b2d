"""The echo bot: Delta Chat core on the relay itself, found through the website."""

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
    """A relay with the bot, where nobody is slower than by the bot's own choice."""
    settings = {"echo": {"enable": True}, "sending": {"burst": 60}}
    return lab.relay("_echo.test", settings)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Hand over a browser."""
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """Delta Chat core."""
    with deltachat.core(tmp_path_factory.mktemp("core")) as one:
        yield one


@pytest.fixture(scope="module")
def invite(echo_relay: Relay) -> str:
    """The link that the website shows, as soon as it shows one."""
    return wait_until(
        lambda: shown_invite(echo_relay), "the invite of the echo bot on the website", timeout=60
    )


def test_the_website_shows_its_invite(echo_relay: Relay, invite: str) -> None:
    """As a link and as a code, which say the same."""
    _, picture = get(echo_relay, "/qr-echo.png")

    assert codes(picture) == [invite]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_a_camera_reads_it_off_the_page(
    echo_relay: Relay, chromium: Browser, invite: str, device: Device, language: str, *, dark: bool
) -> None:
    """Beside the invite of the relay; and the privacy page says that the bot can read."""
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
    """Though this relay takes newsletters: no answer could leave, and core would not delete it."""
    address = f"echo@{echo_relay.domain}"
    assert address in unquote(invite)
    letter = messages.cleartext(stranger.address(), address)

    with pytest.raises(smtplib.SMTPDataError, match="Encryption Needed"):
        stranger.deliver(echo_relay, letter, address)


def test_answers_with_the_same_words(echo_relay: Relay, core: Core, invite: str) -> None:
    """A new address, the invite, a message: what one who tries a relay does."""
    alice = core.account(echo_relay, "Alice")
    chat = alice.secure_join(invite)
    alice.wait_for_securejoin_joiner_success()
    chat.send_text("Is anybody there?")
    answer = await_message(alice, "Is anybody there?").get_snapshot()

    assert answer.show_padlock
    assert answer.is_bot


def test_leaves_other_bots_in_peace(echo_relay: Relay, core: Core, invite: str) -> None:
    """Two that answer everything would write to each other for ever."""
    bot = core.account(echo_relay, "Bot")
    bot.set_config("bot", "1")
    chat = bot.secure_join(invite)
    bot.wait_for_securejoin_joiner_success()
    chat.send_text("I am a bot")
    # Messages of one sender are read in their order: once this is answered, that one was not.
    bot.set_config("bot", "0")
    chat.send_text("I am a person")
    await_message(bot, "I am a person")

    texts = [message.get_snapshot() for message in chat.get_messages()]
    received = [one.text for one in texts if one.from_id != 1 and not one.is_info]
    assert received == ["I am a person"]


def test_answers_no_faster_than_it_should(echo_relay: Relay, core: Core, invite: str) -> None:
    """Somebody with a loop of their own gets ten answers, not a storm."""
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
    """What it was told is deleted as soon as it is read."""
    where = f"/var/lib/chatmail/mail/echo@{echo_relay.domain}"

    def kept() -> list[str]:
        found = echo_relay.machine.run(
            ["find", where, "-path", "*/cur/*", "-o", "-path", "*/new/*"]
        )
        return found.out.split()

    assert echo_relay.machine.run(["test", "-d", where], check=False).status == 0
    wait_until(lambda: not kept(), "an empty mailbox of the bot", timeout=30)


def test_reaches_nothing_but_its_relay(echo_relay: Relay) -> None:
    """Core can fetch URLs and place calls; the bot's cannot."""
    said = echo_relay.machine.run(
        ["systemctl", "show", "chatmail-echo", "-p", "IPAddressDeny", "-p", "MainPID"]
    ).out

    assert "IPAddressDeny=::/0 0.0.0.0/0" in said or "0.0.0.0/0 ::/0" in said


def test_says_nothing_of_people(echo_relay: Relay) -> None:
    """No address, no text, no link in the journal."""
    said = echo_relay.machine.journal("chatmail-echo")

    assert "ready" in said
    for word in ("@", "anybody there", "i.delta.chat"):
        assert word not in said


def test_a_restart_keeps_its_address(echo_relay: Relay, core: Core, invite: str) -> None:
    """A printed invite stays good."""
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


def test_a_stop_is_no_fault(echo_relay: Relay) -> None:
    """Its core was ended before it, and the journal showed a traceback."""
    machine = echo_relay.machine
    for _ in range(3):
        machine.run(["systemctl", "restart", "chatmail-echo"], timeout=120)

    assert "Traceback" not in machine.journal("chatmail-echo")
    assert machine.failed_units() == []


def test_costs_so_much_memory(echo_relay: Relay) -> None:
    """Core is the largest program of a relay: the figure is here to be seen when it grows."""
    pids = echo_relay.machine.run(["pgrep", "-u", "chatmail-echo"]).out.split()
    total = 0
    for pid in pids:
        rollup = echo_relay.machine.run(["cat", f"/proc/{pid}/smaps_rollup"]).out
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        total += int(found[1]) if found else 0
    print(f"echo bot: {total // 1024} MB in {len(pids)} processes")
    assert 0 < total < 150 * 1024
