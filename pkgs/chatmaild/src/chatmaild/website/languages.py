"""
The languages of the website: one folder each, with pages and with the texts around them.

If a folder lacks a page, the English page is shown, and the same holds for texts. So a translation
can start with a single file, and the operator's folder needs only what differs.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from chatmaild.website.markdown import Page, PageError, read_page

OURS = Path(__file__).with_name("pages")
DEFAULT = "en"
WORDS = "words.toml"
# ISO 639 codes: browsers send them, and nginx looks for them.
_CODE = re.compile("[a-z]{2}", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}\.md", re.ASCII)
FIRST = ("index.md", "info.md", "privacy.md")


@dataclass(frozen=True, slots=True)
class Language:
    """A language with its pages by file name, in the order of the menu."""

    code: str
    words: dict[str, str]
    pages: dict[str, Page]


def languages(own: Path | None, faults: list[str]) -> list[Language]:
    """
    Read all languages, English first; the operator's files in `own` override ours.

    A file that cannot be read is reported in `faults`, one sentence each, and ours is used instead.
    """
    codes = {DEFAULT} | _codes(OURS)
    if own is not None:
        try:
            codes |= _codes(own)
        except OSError as error:
            faults.append(f"{own}: cannot be read: {error.strerror}")
            own = None
    english = _language(DEFAULT, own, {}, {}, faults)
    others = (
        _language(code, own, english.words, english.pages, faults)
        for code in sorted(codes - {DEFAULT})
    )
    return [english, *others]


def _codes(directory: Path) -> set[str]:
    return {
        entry.name
        for entry in directory.iterdir()
        if _CODE.fullmatch(entry.name) and entry.is_dir()
    }


def _language(
    code: str,
    own: Path | None,
    words: dict[str, str],
    pages: dict[str, Page],
    faults: list[str],
) -> Language:
    words, pages = dict(words), dict(pages)
    words["name"] = code
    for directory in [OURS / code] + ([own / code] if own else []):
        if not directory.is_dir():
            continue
        for path in sorted(directory.iterdir()):
            try:
                if path.name == WORDS:
                    words |= _read_words(path, words)
                elif _NAME.fullmatch(path.name):
                    pages[path.name] = read_page(path)
                elif path.suffix == ".md":
                    faults.append(
                        f"{path}: name pages with lower-case letters, digits and hyphens only"
                    )
            except PageError as fault:
                faults.append(str(fault))
    order = sorted(pages, key=lambda name: (name not in FIRST, name))
    return Language(code, words, {name: pages[name] for name in order})


def _read_words(path: Path, known: dict[str, str]) -> dict[str, str]:
    try:
        words = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PageError(f"{path}: cannot be read: {error}") from None
    for name, value in words.items():
        if not isinstance(value, str) or (len(known) > 1 and name not in known):
            raise PageError(f"{path}: `{name}` is not a text of the website")
    return words
