"""
One page: front matter, then Markdown with `{{ name }}` and `{% if %}` for facts about the relay.

    ---
    title: Privacy
    menu: Privacy
    ---
    # Privacy

Values are escaped for Markdown, so an underscore in a domain remains an underscore. The operator is
trusted as the author of the pages. Templates nevertheless run in Jinja's sandbox, because pages are
often copied from elsewhere.
"""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markdown_it import MarkdownIt
from markupsafe import Markup

MAX_PAGE_BYTES = 200_000
LAYOUTS = Path(__file__).with_name("layouts")

_KEYS = frozenset({"title", "menu", "description"})
_PUNCTUATION = re.compile(f"([{re.escape(string.punctuation)}])")


class PageError(Exception):
    """A page cannot be used; the message is one sentence for its author."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page; `menu` is its name in the menu, and "" hides it there."""

    path: Path
    title: str
    menu: str
    description: str
    body: str


def read_page(path: Path) -> Page:
    """
    Read a page with its front matter.

    Raises:
        PageError: names the file and the error.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PAGE_BYTES + 1)
    except OSError as error:
        raise PageError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_PAGE_BYTES:
        raise PageError(f"{path}: is larger than {MAX_PAGE_BYTES} bytes")
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise PageError(f"{path}: is not UTF-8 text") from None
    if lines[:1] != ["---"] or "---" not in lines[1:]:
        raise PageError(f"{path}: must begin with front matter: ---, `title: …`, ---")
    end = lines.index("---", 1)
    front = {}
    for number, line in enumerate(lines[1:end], 2):
        name, colon, value = line.partition(":")
        if not colon or name.strip() not in _KEYS:
            known = ", ".join(sorted(_KEYS))
            raise PageError(f"{path}: line {number} must be one of `{known}` with a colon")
        front[name.strip()] = value.strip()
    if not front.get("title"):
        raise PageError(f"{path}: has no `title:` in its front matter")
    return Page(
        path,
        front["title"],
        front.get("menu", ""),
        front.get("description", ""),
        "\n".join(lines[end + 1 :]),
    )


def to_html(page: Page, names: Mapping[str, Any]) -> Markup:
    """
    Insert the values, then convert the Markdown to HTML.

    Raises:
        PageError: the template uses an unknown name or cannot be parsed.

    """
    try:
        text = _pages.from_string(page.body).render(names)
    except TemplateError as error:
        raise PageError(f"{page.path}: {error}") from None
    return Markup(_markdown.render(text))  # noqa: S704 - generated from Markdown


def fill_layout(name: str, names: Mapping[str, Any]) -> str:
    """Render one of our HTML templates; values are escaped for HTML."""
    return _layouts.get_template(name).render(names)


def for_markdown(value: Any) -> Any:
    """Escape text for Markdown (CommonMark 2.4: any punctuation may be escaped); keep HTML."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _PUNCTUATION.sub(r"\\\1", value)
    return value


_markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
_pages = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, finalize=for_markdown, trim_blocks=True, lstrip_blocks=True
)
_layouts = Environment(
    loader=FileSystemLoader(LAYOUTS),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
