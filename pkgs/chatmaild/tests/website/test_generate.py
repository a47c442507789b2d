import copy
import html.parser
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import segno

from chatmaild.config import Config, load
from chatmaild.website import generate
from chatmaild.website.facts import CURRENT, ECHO_PICTURE, echo_invite
from chatmaild.website.generate import main, publish, qr_png, site, size

INVITE = "DCACCOUNT:https://chat.example.org/new"


class Links(html.parser.HTMLParser):
    """Collects everything a page loads or links to."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record `src` and `href`, and open elements."""
        values = {name: value or "" for name, value in attrs}
        if "src" in values:
            self.loads.append(values["src"])
        if "href" in values:
            is_load = tag == "link" and values.get("rel") in {"icon", "stylesheet"}
            (self.loads if is_load else self.leads).append(values["href"])
        assert not {name for name in values if name.startswith("on") or name == "style"}
        if tag not in {"meta", "link", "img", "br", "hr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Fail if elements overlap."""
        assert self.open.pop() == tag


def read(page: bytes) -> Links:
    """Parse a page."""
    links = Links()
    links.feed(page.decode())
    links.close()
    assert links.open == []
    return links


def config_of(tmp_path: Path, settings: dict[str, Any]) -> Config:
    """Return settings as the generator loads them."""
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    return load(path)


def pages_of(tmp_path: Path, settings: dict[str, Any]) -> dict[str, str]:
    """Render a website that must have no errors; return its HTML by path."""
    faults: list[str] = []
    files = site(config_of(tmp_path, settings), faults)
    assert faults == []
    return {name: data.decode() for name, data in files.items() if name.endswith(".html")}


@pytest.mark.parametrize("registration", ["open", "invite", "closed"])
def test_every_internal_link_leads_to_a_file(
    tmp_path: Path, settings: dict[str, Any], registration: str
) -> None:
    """The website has no broken links in any language, and loads nothing from other hosts."""
    settings["registration"] = registration
    files = site(config_of(tmp_path, settings), [])

    for name, data in files.items():
        if not name.endswith(".html"):
            continue
        links = read(data)
        assert all(target.startswith("/") for target in links.loads)
        for target in [*links.loads, *links.leads]:
            if re.match(r"(https|DCACCOUNT|mailto):|#", target):
                continue
            folder = "" if target.startswith("/") else name.rpartition("/")[0]
            path = f"{folder}/{target.removeprefix('./')}".strip("/") or "index.html"
            assert path in files or f"{path}/index.html" in files, (name, target)


def test_all_languages_have_the_same_content(tmp_path: Path, settings: dict[str, Any]) -> None:
    """A translation with a wrong figure or a missing part would misinform its readers."""
    pages = pages_of(tmp_path, settings)

    assert pages["index.html"] == pages["en/index.html"]
    for name in ("index", "info", "privacy"):
        english, german = pages[f"en/{name}.html"], pages[f"de/{name}.html"]
        assert '<html lang="en">' in english
        assert '<html lang="de">' in german
        for tag in ("h1", "h2", "li", "tr", "section"):
            assert english.count(f"<{tag}") == german.count(f"<{tag}"), (name, tag)


def test_names_the_real_limits(tmp_path: Path, settings: dict[str, Any]) -> None:
    """The page uses the same values as the daemons."""
    settings["sending"] = {"perMinute": 77, "burst": 12, "maxRecipients": 321}
    settings["retention"]["mailDays"] = 33
    pages = pages_of(tmp_path, settings)

    sizes = ("30\u00a0MB", "500\u00a0MB", "64000")
    for text in ("77 per minute", "12 of them", "321", *sizes, "33 days"):
        assert text in pages["en/info.html"], text
    assert "195\u00a0kB" in pages["en/info.html"]
    assert "33 Tage" in pages["de/info.html"]


# For each switch: a key of the configuration, its value for on (or None for an existing section),
# and its value for off.
SWITCHES: dict[str, tuple[str, object, object]] = {
    "push": ("push.enable", True, False),
    "turn": ("metadata.turn", "turn", None),
    "iroh": ("metadata.irohRelay", "https://iroh.test", None),
    "echo": ("echo", "echo", None),
    "grace": ("accounts.graceDays", 90, 0),
    "cleartext": ("incoming.cleartext", True, False),
}
# Words on the pages about each of them, in both languages.
WORDS = {
    "push": "notification|token|woken|benachrichtigung|kennung|geweckt",
    "turn": "calls|anrufe",
    "iroh": "apps inside chats|apps in chats|iroh",
    "echo": "echo",
    "grace": "hash of a deleted|hash einer gel",
    "cleartext": "operator could read|könnte der betreiber|ordinary e-mail|gewöhnlichen e-mail",
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_mentions_only_what_the_relay_does(
    tmp_path: Path, settings: dict[str, Any], sections: dict[str, dict[str, Any]], switch: str
) -> None:
    """Pages mentioned notifications on a relay that had disabled them."""
    (tmp_path / "invite").write_text("https://i.delta.chat/#ABC&a=b%40c&n=d\n")
    key, on_value, off_value = SWITCHES[switch]

    def sentences(value: object) -> dict[str, int]:
        *groups, last = key.split(".")
        mixed = copy.deepcopy(settings)
        group = mixed
        for name in groups:
            group = group[name]
        group[last] = value
        return {
            name: len(re.findall(WORDS[switch], html, re.IGNORECASE))
            for name, html in pages_of(tmp_path, mixed).items()
        }

    on, off = sentences(sections.get(str(on_value), on_value)), sentences(off_value)

    for language in ("en", "de"):
        assert on[f"{language}/privacy.html"] > 0
    assert not any(off.values()), off


@pytest.mark.parametrize(
    ("iroh", "named"), [("https://chat.example.org", False), ("https://iroh.test", True)]
)
def test_names_the_host_that_sees_network_addresses(
    tmp_path: Path, settings: dict[str, Any], iroh: str, named: bool
) -> None:
    """An iroh relay on another host also receives data."""
    settings["metadata"]["irohRelay"] = iroh
    pages = pages_of(tmp_path, settings)

    assert ("sees the IP addresses" in pages["en/privacy.html"]) is named
    for language in ("en", "de"):
        assert (f'<a href="{iroh}">{iroh}</a>' in pages[f"{language}/privacy.html"]) is named
        assert f'<a href="{iroh}">{iroh}</a>' in pages[f"{language}/info.html"]


def test_explains_how_to_delete_an_address(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Users who read about their right to deletion want to know how."""
    for language in ("en", "de"):
        page = pages_of(tmp_path, settings)[f"{language}/info.html"]
        assert "-X POST https://chat.example.org/delete" in page


def test_says_plainly_that_there_is_no_contact(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Users who give data to a stranger should know that it is one."""
    assert "has given no contact" in pages_of(tmp_path, settings)["privacy.html"]

    settings["privacy"] = {
        "mail": "some_body_@example.org",
        "postal": "A & B <Verein>, *Weg* 1",
        "officer": "Officer O.",
        "supervisor": "The Supervisor",
    }
    privacy = pages_of(tmp_path, settings)["privacy.html"]

    assert "has given no contact" not in privacy
    assert '<a href="mailto:some_body_@example.org">some_body_@example.org</a>' in privacy
    assert "A &amp; B &lt;Verein&gt;, *Weg* 1" in privacy
    assert "Officer O." in privacy
    assert "The Supervisor" in privacy


def test_a_closed_relay_shows_no_invite(tmp_path: Path, settings: dict[str, Any]) -> None:
    """An invite that is then refused would be a disappointment."""
    for registration, sentence in (("closed", b"no new addresses"), ("invite", b"by invitation")):
        settings["registration"] = registration
        files = site(config_of(tmp_path, settings), [])

        assert b"DCACCOUNT" not in b"".join(files.values())
        assert not [name for name in files if name.startswith("qr-")]
        assert sentence in files["index.html"]


def test_the_qr_code_contains_the_invite(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Button and QR code have the same invite, and the file name that other websites link to."""
    files = site(config_of(tmp_path, settings), [])

    assert f'href="{INVITE}"' in files["index.html"].decode()
    picture = files["qr-chatmail-invite-chat.example.org.png"]
    expected = io.BytesIO()
    segno.make(INVITE, error="m", micro=False).save(expected, kind="png", scale=8, border=4)
    assert picture == expected.getvalue() == qr_png(INVITE)


@pytest.mark.parametrize(
    ("host", "link", "script"),
    [
        ("_lab.example.org", True, False),
        ("chat.example.org", False, True),
        ("192.0.2.1", False, True),
    ],
)
def test_a_self_signed_certificate_needs_a_login_link(
    tmp_path: Path, settings: dict[str, Any], host: str, link: bool, script: bool
) -> None:
    """Clients do not verify the certificate of a `_` domain; for others they need a login link."""
    settings["host"] = host
    settings["domain"] = f"[{host}]" if host == "192.0.2.1" else host
    settings["certificate"]["source"] = "self-signed"
    files = site(config_of(tmp_path, settings), [])

    assert (f"DCACCOUNT:https://{host}/new" in files["index.html"].decode()) is link
    assert ("dclogin.js" in files) is script
    assert (b'<script src="/dclogin.js"' in files["index.html"]) is script
    # Each visitor gets a new login, so there is no common QR code, and no text about one.
    assert (b"scan the QR code" in files["index.html"]) is link
    assert (b"scanne den QR-Code" in files["de/index.html"]) is link
    assert b"<script" not in files["info.html"]


def test_by_invitation_the_button_waits_for_an_invite(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Only the script knows of an invite; without it the page explains what is needed."""
    settings |= {"host": "192.0.2.1", "domain": "[192.0.2.1]", "registration": "invite"}
    settings["certificate"]["source"] = "self-signed"
    page = pages_of(tmp_path, settings)["index.html"]

    assert '<section class="invite" id="invited" hidden>' in page
    assert '<p class="notice" id="uninvited">' in page
    assert '<script src="/dclogin.js"' in page

    settings["registration"] = "closed"
    page = pages_of(tmp_path, settings)["index.html"]
    assert "<script" not in page
    assert 'id="login"' not in page


def test_the_echo_bot_is_offered_once_it_has_an_invite(
    tmp_path: Path, settings: dict[str, Any], sections: dict[str, dict[str, Any]]
) -> None:
    """Before that there is nothing to scan."""
    invite = tmp_path / "invite"
    settings["echo"] = sections["echo"]
    assert "echo" not in pages_of(tmp_path, settings)["index.html"].lower()

    invite.write_text("https://i.delta.chat/#ABC&a=echo%40chat.example.org&n=Echo\n")
    page = pages_of(tmp_path, settings)["index.html"]

    assert 'href="https://i.delta.chat/#ABC&amp;a=echo%40chat.example.org&amp;n=Echo"' in page
    assert 'src="/qr-echo.png"' in page


@pytest.mark.parametrize(
    "text", ["", "javascript:alert(1)", "https://i.delta.chat/# x", "https://i.delta.chat/#\xff"]
)
def test_accepts_only_valid_invites(tmp_path: Path, text: str) -> None:
    """Another daemon writes the file, and its content becomes a link."""
    (tmp_path / "invite").write_text(text)

    assert echo_invite(tmp_path / "invite") is None


def test_the_operators_pages_override_ours(tmp_path: Path, settings: dict[str, Any]) -> None:
    """A page can be replaced or added, and so can a language or a picture; the rest stays."""
    own = tmp_path / "own"
    for folder in ("en", "fr"):
        (own / folder).mkdir(parents=True)
    (own / "en/info.md").write_text("---\ntitle: Mine\nmenu: Mine\n---\n# Of {{ domain }}\n")
    (own / "en/rules.md").write_text("---\ntitle: Rules\nmenu: Rules\n---\nBe nice.\n")
    (own / "fr/index.md").write_text("---\ntitle: Bonjour\nmenu: Bonjour\n---\n# Bonjour\n")
    (own / "fr/words.toml").write_text('name = "Français"\n')
    (own / "logo.png").write_bytes(b"png")
    settings["website"]["pages"] = str(own)
    faults: list[str] = []
    files = site(config_of(tmp_path, settings), faults)

    assert faults == []
    assert b"<h1>Of chat.example.org</h1>" in files["info.html"]
    assert b'<a href="rules.html">Rules</a>' in files["en/privacy.html"]
    assert b"Be nice." in files["rules.html"]
    assert b"<h1>Bonjour</h1>" in files["fr/index.html"]
    assert "Français".encode() in files["de/index.html"]
    assert b"<h1>Privacy</h1>" in files["fr/privacy.html"]
    assert files["logo.png"] == b"png"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("# No front matter", "must begin with front matter"),
        ("---\ntitle: x\nlayout: y\n---\n", "line 3 must be one of"),
        ("---\nmenu: x\n---\n", "has no `title:`"),
        ("---\ntitle: x\n---\n{{ domian }}", "'domian' is undefined"),
        ("---\ntitle: x\n---\n{% if %}", "Expected an expression"),
        ("---\ntitle: x\n---\n{{ domain.__class__.__mro__ }}", "unsafe"),
        ("---\ntitle: x\n---\n" + "x" * 200_000, "is larger than"),
    ],
)
def test_a_broken_page_is_reported_and_replaced_by_ours(
    tmp_path: Path, settings: dict[str, Any], text: str, fault: str
) -> None:
    """A typing error must neither take the website down nor go unnoticed."""
    (tmp_path / "own/de").mkdir(parents=True)
    (tmp_path / "own/de/privacy.md").write_text(text)
    settings["website"]["pages"] = str(tmp_path / "own")
    faults: list[str] = []
    files = site(config_of(tmp_path, settings), faults)

    assert len(faults) == 1
    assert f"{tmp_path}/own/de/privacy.md" in faults[0]
    assert fault in faults[0]
    assert b"<h1>Datenschutz</h1>" in files["de/privacy.html"]


def test_an_error_shows_in_the_exit_code(
    tmp_path: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The unit fails, so the operator notices it, but the website is still there."""
    settings["website"]["pages"] = str(tmp_path / "nowhere")
    config_of(tmp_path, settings)

    assert main(["--config", str(tmp_path / "chatmaild.json")]) == 1
    assert f"{tmp_path}/nowhere: cannot be read" in capsys.readouterr().err
    assert (tmp_path / "site/current/index.html").exists()


def test_a_new_website_replaces_the_old_one_atomically(tmp_path: Path) -> None:
    """Nginx follows one link to a complete website, and only one website is kept."""
    publish({"a.html": b"1", "de/a.html": b"2"}, tmp_path)
    publish({"b.html": b"3"}, tmp_path)

    current = tmp_path / "current"
    assert current.is_symlink()
    assert [path.name for path in current.iterdir()] == ["b.html"]
    assert len(list(tmp_path.iterdir())) == 2
    assert current.resolve().stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (200_000, "195 kB"),
        (1536 * 1024, "1,5 MB"),
        (31457280, "30 MB"),
        (524288000, "500 MB"),
        (5 * 1024**3, "5 GB"),
        (7 * 1024**5, "7168 TB"),
    ],
)
def test_sizes_read_as_people_write_them(number: int, text: str) -> None:
    """Sizes have units of 1024 and at most one decimal, and never break before the unit."""
    assert size(number, ",") == text.replace(" ", "\u00a0")


def test_a_bot_that_appears_while_rendering_is_on_the_website(
    tmp_path: Path,
    settings: dict[str, Any],
    sections: dict[str, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Systemd does not trigger a job again while it runs."""
    invite = tmp_path / "invite"
    settings["echo"] = sections["echo"]
    config_of(tmp_path, settings)
    rounds = []

    def publish_late(files: generate.Files, directory: Path) -> None:
        publish(files, directory)
        invite.write_text("https://i.delta.chat/#0123\n")
        rounds.append(ECHO_PICTURE in files)

    monkeypatch.setattr(generate, "publish", publish_late)

    assert main(["--config", str(tmp_path / "chatmaild.json")]) == 0

    assert rounds == [False, True]
    assert (tmp_path / "site" / CURRENT / ECHO_PICTURE).exists()
