"""The button on the website of a relay with an unverifiable certificate, up to the client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.browser import PHONE, Browser, browser
from harness.deltachat import Core, address_of
from harness.process import wait_until
from people.people import exists, imap_login

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)

BUTTON = "document.getElementById('login')"


@pytest.fixture(scope="module", params=["192.0.2.60", "selfmade.test"])
def here(lab: Lab, request: pytest.FixtureRequest) -> Relay:
    """A relay at an IP address, or with a name, and a self-signed certificate."""
    return lab.relay(request.param, {"certificate": {"source": "self-signed"}})


@pytest.fixture(scope="module")
def invited(lab: Lab) -> Relay:
    """The same with registration by invitation."""
    return lab.relay("192.0.2.62", {"registration": "invite"})


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a browser like a phone's."""
    with browser() as one:
        one.be(PHONE)
        yield one


def login(chromium: Browser) -> str:
    """Press the button until it links to a login; return the link."""
    chromium.evaluate(f"{BUTTON}.click()")
    wait_until(lambda: chromium.evaluate(f"{BUTTON}.protocol") == "dclogin:", "a login", timeout=10)
    return str(chromium.evaluate(f"{BUTTON}.href"))


def test_the_button_creates_an_account(core: Core, chromium: Browser, here: Relay) -> None:
    """The link opens in the client and creates an address; a second press gives the same login."""
    assert chromium.open(f"https://{here.domain}/").complaints == []
    link = login(chromium)

    account = core.deltachat.add_account()
    account.add_transport_from_qr(link)
    account.bring_online()

    address = address_of(account)
    assert address.endswith(f"@{here.mail_domain}")
    assert exists(here, address)
    assert login(chromium) == link


def test_an_invite_shows_the_button(core: Core, chromium: Browser, invited: Relay) -> None:
    """Clients could not request the address themselves, so the link is for the browser."""
    made = json.loads(invited.chatmail("invites", "add", "--json").out)
    assert made["link"].startswith(f"https://{invited.domain}/?t=")
    chromium.open(made["link"])
    assert chromium.evaluate(f"{BUTTON}.checkVisibility()")
    assert not chromium.evaluate("document.getElementById('uninvited').checkVisibility()")

    account = core.deltachat.add_account()
    account.add_transport_from_qr(login(chromium))
    account.bring_online()

    assert exists(invited, address_of(account))
    [listed] = json.loads(invited.chatmail("invites", "list", "--json").out)
    assert (listed["used"], listed["good"]) == (1, False)


def test_a_used_invite_is_reported(chromium: Browser, invited: Relay) -> None:
    """The page shows the relay's reason."""
    made = json.loads(invited.chatmail("invites", "add", "--json").out)
    invited.chatmail("invites", "remove", str(made["id"]))
    chromium.open(made["link"])
    before = chromium.evaluate(f"{BUTTON}.textContent")
    chromium.evaluate(f"{BUTTON}.click()")
    wait_until(
        lambda: chromium.evaluate(f"{BUTTON}.textContent") != before, "another text", timeout=10
    )

    assert "invite" in chromium.evaluate(f"{BUTTON}.textContent").lower()
    assert chromium.evaluate(f"{BUTTON}.protocol") == "https:"


def test_without_an_invite_there_is_no_button(chromium: Browser, invited: Relay) -> None:
    """The page explains how to get an invite, and a login creates no account."""
    chromium.open(f"https://{invited.domain}/")

    assert not chromium.evaluate(f"{BUTTON}.checkVisibility()")
    assert "by invitation" in chromium.evaluate("document.getElementById('uninvited').innerText")
    assert imap_login(invited, *invited.credentials()) != ""
