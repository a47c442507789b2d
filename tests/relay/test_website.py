"""The website in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest

from harness import deltachat
from harness.browser import DESKTOP, PHONE, Browser, Device, browser
from people.https import get
from people.website import SCREENSHOTS, codes

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)

PAGES = ("", "info.html", "privacy.html")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a browser."""
    with browser() as one:
        yield one


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_page_loads_completely_from_this_host(
    relay: Relay, chromium: Browser, device: Device, language: str, *, dark: bool
) -> None:
    """There is no request to another host, no error in the console, and no horizontal scrolling."""
    chromium.be(device, dark=dark)
    for page in PAGES:
        visit = chromium.open(f"https://{relay.domain}/{language}/{page}")

        assert visit.complaints == []
        assert {urlsplit(url).hostname for url in visit.requests} == {relay.domain}
        assert set(visit.statuses.values()) == {200}
        assert chromium.evaluate("document.documentElement.lang") == language
        assert chromium.evaluate("document.documentElement.scrollWidth") <= device.width
        assert chromium.evaluate("document.querySelectorAll('script').length") == 0
        ink, paper = (
            chromium.evaluate(f"getComputedStyle(document.documentElement).{name}")
            for name in ("color", "backgroundColor")
        )
        assert contrast(ink, paper) >= 7
        where = "phone" if device.mobile else "desktop"
        name = f"{page.removesuffix('.html') or 'index'}-{language}-{where}"
        chromium.screenshot(SCREENSHOTS / f"{name}-{'dark' if dark else 'light'}.png")


def contrast(one: str, other: str) -> float:
    """Return the contrast of two CSS colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_link_works(relay: Relay, chromium: Browser) -> None:
    """All pages are reachable from the first one, and every linked page exists."""
    start = f"https://{relay.domain}/"
    waiting, seen, away = [start], {start}, set()
    while waiting:
        page = waiting.pop()
        visit = chromium.open(page)
        assert visit.statuses[page] == 200, page
        links = "[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))"
        for target in chromium.evaluate(links):
            url = urljoin(page, target).partition("#")[0]
            if urlsplit(url).hostname != relay.domain or not url.startswith("https:"):
                away.add(url)
            elif url not in seen:
                seen.add(url)
                waiting.append(url)

    assert {f"https://{relay.domain}/{language}/info.html" for language in ("en", "de")} <= seen
    for url in away:
        assert re.match(r"https://delta\.chat/|DCACCOUNT:|mailto:", url), url


def test_is_readable_and_usable_without_scripts(relay: Relay, chromium: Browser) -> None:
    """Visitors who value privacy often disable scripts."""
    chromium.be(PHONE)
    chromium.scripts(enabled=False)
    try:
        chromium.open(f"https://{relay.domain}/")
    finally:
        chromium.scripts(enabled=True)

    button = chromium.evaluate("document.querySelector('a.button').getAttribute('href')")
    assert button == f"DCACCOUNT:https://{relay.domain}/new"


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.5", "de"),
        ("en-GB,en;q=0.9,de;q=0.5", "en"),
        ("fr-CH, fr;q=0.9, de;q=0.7, *;q=0.5", "de"),
        ("fr,it,es", "en"),
        ("../../etc,xx-$uri", "en"),
        ("DE", "en"),
    ],
)
@pytest.mark.parametrize("page", ["", "index.html", "info.html", "privacy.html"])
def test_uses_the_visitors_language(relay: Relay, page: str, wanted: str, language: str) -> None:
    """There is no redirect, so there are no loops, and links stay short."""
    response, content = get(relay, f"/{page}", Accept_Language=wanted)

    assert response.status == 200
    assert f'<html lang="{language}">'.encode() in content
    assert "Accept-Language" in response.getheader("Vary", "")


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_language_can_be_chosen(relay: Relay, language: str) -> None:
    """The browser's setting may not be what the visitor wants."""
    for page in PAGES:
        _, content = get(relay, f"/{language}/{page}", Accept_Language="de" * (language == "en"))
        assert f'<html lang="{language}">'.encode() in content


@pytest.mark.parametrize(
    "path", ["/", "/info.html", "/style.css", "/new", "/nothing", "/robots.txt"]
)
def test_every_response_has_security_headers(relay: Relay, path: str) -> None:
    """Even errors have them: no foreign content, nothing inline, no framing, no referrer."""
    response, _ = get(relay, path)
    policy = response.getheader("Content-Security-Policy", "")

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for part in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"):
        assert part in policy
    assert response.getheader("Referrer-Policy") == "no-referrer"
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert response.getheader("Set-Cookie") is None


def test_hsts_only_with_a_verified_certificate(relay: Relay, public_relay: Relay) -> None:
    """On a self-signed relay it would lock visitors out."""
    assert get(relay, "/")[0].getheader("Strict-Transport-Security") is None
    assert get(public_relay, "/")[0].getheader("Strict-Transport-Security") == "max-age=31536000"


def test_search_engines_may_read_pages_but_not_create_addresses(relay: Relay) -> None:
    """A robot that follows /new would create unused addresses."""
    response, content = get(relay, "/robots.txt")

    assert response.getheader("Content-Type", "").startswith("text/plain")
    assert b"Disallow: /new" in content


def test_the_qr_code_on_the_page_creates_an_account(
    relay: Relay, chromium: Browser, tmp_path: Path
) -> None:
    """The test goes from a screenshot of the page through Delta Chat core to an address."""
    chromium.be(DESKTOP)
    chromium.open(f"https://{relay.domain}/")
    seen = codes(chromium.screenshot(tmp_path / "page.png"))
    _, picture = get(relay, f"/qr-chatmail-invite-{relay.domain}.png")

    assert seen == codes(picture) == [f"DCACCOUNT:https://{relay.domain}/new"]
    with deltachat.core(tmp_path) as core:
        account = core.deltachat.add_account()
        account.add_transport_from_qr(seen[0])
        assert deltachat.address_of(account).endswith(f"@{relay.domain}")


def test_is_accessible(relay: Relay, chromium: Browser) -> None:
    """Pages have landmarks, names, alternative texts, and a link to skip the menu."""
    chromium.open(f"https://{relay.domain}/")

    assert chromium.evaluate("document.querySelectorAll('h1, main, header, footer').length") == 4
    assert chromium.evaluate("[...document.images].every(i => i.hasAttribute('alt'))")
    assert chromium.evaluate("document.querySelector('a').getAttribute('href')") == "#main"


def test_a_closed_relay_says_so(lab: Lab, chromium: Browser) -> None:
    """It shows no invite, but who is responsible."""
    closed = lab.relay(
        "_shut.test",
        {
            "registration": "closed",
            "privacy": {
                "mail": "operator@_shut.test".replace("_", ""),
                "postal": "Some Body, Some Street 1, Some Town",
                "officer": "Officer <o@shut.test>",
                "supervisor": "The Authority",
            },
        },
    )
    chromium.be(PHONE)
    chromium.open("https://_shut.test/en/")
    text = chromium.evaluate("document.body.innerText")
    assert "gives out no new addresses" in text
    assert "DCACCOUNT" not in chromium.evaluate("document.body.innerHTML")
    chromium.screenshot(SCREENSHOTS / "closed-en-phone-light.png")
    assert get(closed, "/qr-chatmail-invite-_shut.test.png")[0].status == 404

    chromium.open("https://_shut.test/en/privacy.html")
    text = chromium.evaluate("document.body.innerText")
    for contact in ("Some Street 1", "Officer <o@shut.test>", "The Authority"):
        assert contact in text


def test_mentions_only_what_the_relay_does(lab: Lab, chromium: Browser) -> None:
    """Pages mentioned push notifications and calls that the operator had disabled."""
    lab.relay(
        "_plain.test",
        {"push": {"enable": False}, "turn": {"enable": False}, "accounts": {"graceDays": 0}},
    )
    chromium.be(PHONE)
    for language, words in (
        ("en", r"notification|token|woken|calls|echo|hash of a deleted"),
        ("de", r"benachrichtig|kennung|geweckt|anrufe|echo|hash einer gel"),
    ):
        for page in PAGES:
            chromium.open(f"https://_plain.test/{language}/{page}")
            text = chromium.evaluate("document.body.innerText")
            assert not re.search(words, text, re.IGNORECASE), (language, page)


def test_the_operator_can_replace_pages_or_the_website(lab: Lab) -> None:
    """A file replaces one page, a directory the whole website; hidden files stay hidden."""
    own = lab.relay("_own.test")
    page = "---\ntitle: Rules\nmenu: Rules\n---\n# Rules of {{ domain }}\n"
    own.machine.run(["mkdir", "-p", "/srv/pages/en", "/srv/www/.git"])
    own.machine.write("/srv/pages/en/rules.md", page)
    own.reconfigure({"website": {"pages": "/srv/pages"}})

    assert b"<h1>Rules of _own.test</h1>" in get(own, "/rules.html")[1]
    assert b'<a href="rules.html">Rules</a>' in get(own, "/privacy.html")[1]

    own.machine.write("/srv/pages/en/rules.md", page + "{{ dommain }}")
    assert own.machine.run(["systemctl", "start", "chatmail-website"], check=False).status
    said = own.machine.journal("chatmail-website")
    assert "/srv/pages/en/rules.md: 'dommain' is undefined" in said
    assert get(own, "/privacy.html")[0].status == 200

    own.machine.write("/srv/www/index.html", "<h1>Mine</h1>")
    own.machine.write("/srv/www/.git/config", "secret")
    own.reconfigure({"website": {"root": "/srv/www"}})
    response, content = get(own, "/", Accept_Language="de")
    assert content == b"<h1>Mine</h1>"
    assert "default-src 'self'" in response.getheader("Content-Security-Policy", "")
    assert get(own, "/.git/config")[0].status == 404
    assert get(own, "/.well-known/autoconfig/mail/config-v1.1.xml")[0].status == 200
