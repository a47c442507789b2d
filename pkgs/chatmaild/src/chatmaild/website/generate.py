"""
`chatmail-website`: renders the website into a new directory, then publishes it atomically.

Visitors see either the old website or the new one, never a mixture. An error in one of the
operator's pages does not take the website down: the relay's own page replaces the broken one, and
the exit code reports the error.
"""

import dataclasses
import io
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import segno
from markupsafe import Markup

from chatmaild.config import Config
from chatmaild.service import daemon
from chatmaild.website.facts import CURRENT, ECHO_PICTURE, Facts, facts
from chatmaild.website.languages import DEFAULT, OURS, Language, languages
from chatmaild.website.markdown import Page, PageError, fill_layout, read_page, to_html

log = logging.getLogger(__name__)

STATIC = Path(__file__).with_name("static")
SCRIPT = "dclogin.js"
# For the operator's pictures. The website is not meant as a file server.
MAX_STATIC_BYTES = 5_000_000
MAX_STATIC_FILES = 500
ROBOTS = "User-agent: *\nDisallow: /new\nDisallow: /cgi-bin/\n"
PIXELS_PER_MODULE = 8
MAX_ROUNDS = 5

Files = dict[str, bytes]


class WebsiteError(Exception):
    """The website has errors; the message is one sentence for each, for the operator."""


def main(arguments: list[str] | None = None) -> int:
    """Render the site once."""
    return daemon.run(
        "chatmail-website",
        "Render the website of the relay.",
        _work,
        (WebsiteError,),
        arguments,
    )


def _work(config: Config) -> None:
    faults: list[str] = []
    shown: Facts | None = None
    for _ in range(MAX_ROUNDS):
        # The echo bot's invite may change while this runs, and systemd would ignore the trigger.
        if (about := facts(config)) == shown:
            break
        shown = about
        faults.clear()
        files = site(config, faults)
        try:
            publish(files, config.website.site)
        except OSError as error:
            raise WebsiteError(f"{config.website.site}: cannot be written: {error}") from None
        log.info("wrote %d files", len(files))
    if faults:
        # A page that replaces a missing translation reports its error in every language.
        raise WebsiteError("; ".join(dict.fromkeys(faults)))


def site(config: Config, faults: list[str]) -> Files:
    """Render all files of the website by path; append errors in the operator's pages."""
    about = facts(config)
    spoken = languages(config.website.pages, faults)
    files: Files = {"robots.txt": ROBOTS.encode()}
    for path in sorted(STATIC.iterdir()):
        if path.name != SCRIPT or about.login_by_script:
            files[path.name] = path.read_bytes()
    if about.invite:
        files[qr_name(about.host)] = qr_png(about.invite)
    if about.echo:
        files[ECHO_PICTURE] = qr_png(about.echo)
    if config.website.pages is not None:
        files |= _own_static(config.website.pages, faults)
    for language in spoken:
        for name in language.pages:
            html = _render(about, spoken, language, name, faults)
            target = name.removesuffix(".md") + ".html"
            files[f"{language.code}/{target}"] = html
            if language.code == DEFAULT:
                files[target] = html
    return files


def publish(files: Files, directory: Path) -> None:
    """Write the files to a new directory, switch `current` to it, and remove the old one."""
    directory.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="site-", dir=directory))
    fresh.chmod(0o755)
    for name, data in files.items():
        path = fresh / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(data)
    link = directory / f"{fresh.name}.link"
    link.symlink_to(fresh.name)
    link.replace(directory / CURRENT)
    for old in directory.iterdir():
        if old.name.startswith("site-") and old != fresh:
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink()


def qr_name(host: str) -> str:
    """Return the file name of the invite's QR code, which other websites link to."""
    return f"qr-chatmail-invite-{host}.png"


def qr_png(link: str) -> bytes:
    """Draw a QR code; its quiet zone is four modules wide (ISO/IEC 18004, 5.3.8)."""
    picture = io.BytesIO()
    segno.make(link, error="m", micro=False).save(
        picture, kind="png", scale=PIXELS_PER_MODULE, border=4
    )
    return picture.getvalue()


def size(number: int, decimal: str) -> str:
    """Format a number of bytes in units of 1024, with at most one decimal."""
    value, unit = float(number), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":  # noqa: PLR2004 - so that 1000 kB are about 1 MB
            break
        value /= 1024
    text = f"{value:.0f}" if value >= 100 else f"{value:.1f}".removesuffix(".0")  # noqa: PLR2004
    return f"{text.replace('.', decimal)}\N{NO-BREAK SPACE}{unit}"


def _render(
    about: Facts, spoken: list[Language], language: Language, name: str, faults: list[str]
) -> bytes:
    page = language.pages[name]
    names: dict[str, Any] = dataclasses.asdict(about) | {
        "size": lambda number: size(number, language.words["decimal"]),
        "words": language.words,
    }
    names["invite_box"] = _block("invite.html", names | {"qr": f"/{qr_name(about.host)}"})
    names["echo_box"] = _block("echo.html", names) if about.echo else ""
    try:
        html = to_html(page, names)
    except PageError as fault:
        faults.append(str(fault))
        page = _ours(language.code, name)
        html = to_html(page, names)
    layout = names | {
        "page": page,
        "html": html,
        "path": name.removesuffix(".md") + ".html",
        "menu": [
            ("./" if file == "index.md" else file.removesuffix(".md") + ".html", one.menu)
            for file, one in language.pages.items()
            if one.menu
        ],
        "language": language,
        "languages": [other for other in spoken if name in other.pages],
        "script": f"/{SCRIPT}" if about.login_by_script and name == "index.md" else "",
    }
    return fill_layout("page.html", layout).encode()


def _block(layout: str, names: dict[str, Any]) -> Markup:
    """Render a part of a page; a blank line would end its HTML block (CommonMark 4.6)."""
    lines = fill_layout(layout, names).splitlines()
    return Markup("\n".join(line.strip() for line in lines if line.strip()))  # noqa: S704


def _ours(code: str, name: str) -> Page:
    """Return our page to replace a broken one, or our index page if we have none of that name."""
    for folder in (code, DEFAULT):
        if (OURS / folder / name).exists():
            return read_page(OURS / folder / name)
    return read_page(OURS / DEFAULT / "index.md")


def _own_static(directory: Path, faults: list[str]) -> Files:
    """Read what lies beside the operator's pages: pictures, a style sheet, an icon."""
    files: Files = {}
    for place, _, names in os.walk(directory):
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or path.suffix in {".md", ".toml"}:
                continue
            if len(files) >= MAX_STATIC_FILES:
                faults.append(f"{directory}: has more than {MAX_STATIC_FILES} files beside pages")
                return files
            try:
                if path.stat().st_size > MAX_STATIC_BYTES:
                    faults.append(f"{path}: is larger than {MAX_STATIC_BYTES} bytes")
                else:
                    files[str(path.relative_to(directory))] = path.read_bytes()
            except OSError as error:
                faults.append(f"{path}: cannot be read: {error.strerror}")
    return files
