"""Rules for the tests' code: tests are in test modules, and shared code is beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.places import CHATMAILD, CHECKOUT, TESTS

# The module ast is not used, because chatmaild's Python may be newer than this interpreter.
IMPORT = re.compile(r"^[ ]*(?:from [\w.]+ import (?:\([^)]*\)|.*)|import .*)$", re.MULTILINE)
# Source files, without what tests leave behind.
OURS = {".py", ".nix", ".md"}
WORD = re.compile(r"\w+")


def modules() -> list[Path]:
    """Return every Python file of the tests."""
    return sorted([*TESTS.rglob("*.py"), *(CHATMAILD / "tests").rglob("*.py")])


def borrowed(source: str) -> set[str]:
    """Return the test modules that a module imports."""
    ours = {path.stem for path in modules() if path.stem.startswith("test_")}
    return {word for statement in IMPORT.findall(source) for word in WORD.findall(statement)} & ours


@pytest.mark.parametrize(
    "line",
    [
        "from relay.test_imap import logged_in",
        "from relay import test_imap",
        "import relay.test_imap",
        "from relay import (\n    dns,\n    test_imap,\n)",
        "def f():\n    from .test_imap import logged_in",
    ],
)
def test_the_next_test_recognises_all_imports(line: str) -> None:
    """Otherwise it could not fail."""
    assert borrowed(line) == {"test_imap"}


def test_no_test_module_is_imported() -> None:
    """Code that two test modules need is in tests/people, or in a module beside them."""
    found = {str(path): names for path in modules() if (names := borrowed(path.read_text()))}

    assert len(modules()) > 100
    assert found == {}


def test_tests_relay_contains_only_tests() -> None:
    """Shared code is in tests/people."""
    others = {
        path.name for path in (TESTS / "relay").glob("*.py") if not path.name.startswith("test_")
    }

    assert others == {"__init__.py", "conftest.py"}


def other_notations(text: str) -> list[str]:
    """Return references to RFCs in another form than RFC 5321 4.5.1."""
    return re.findall(r"RFC ?\d+,?\s*(?:[Ss]ection|[Aa]ppendix|§|c\.)|RFC \d+, ?\d|RFC\d{4}", text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("RFC 5321, section 4.5.1", True),
        ("RFC 5321,\nsection 4.5.1", True),
        ("RFC 5321 section 4.5.1", True),
        ("RFC 5321, 4.5.1", True),
        ("RFC5321 4.5.1", True),
        ("RFC 5321 4.5.1, RFC 6376 A", False),
        ("RFC822.SIZE", False),
    ],
)
def test_the_next_test_recognises_other_notations(text: str, *, found: bool) -> None:
    """Otherwise it could not fail."""
    assert bool(other_notations(text)) == found


def test_rfcs_are_cited_in_one_notation() -> None:
    """So one search finds every place that implements a section."""
    places = [CHECKOUT / name for name in ("docs", "hosts", "modules", "pkgs", "tests")]
    files = [path for place in places for path in place.rglob("*.*") if path.suffix in OURS]
    found = {
        str(path.relative_to(CHECKOUT)): notations
        for path in files
        if path != Path(__file__).resolve() and (notations := other_notations(path.read_text()))
    }

    assert len(files) > 300
    assert found == {}
