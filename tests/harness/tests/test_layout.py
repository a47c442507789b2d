"""Where the code of the tests is: claims in test modules, what they share beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.places import CHATMAILD, TESTS

# Not the module ast: chatmaild's Python may be newer than the one that runs this.
IMPORT = re.compile(r"^[ ]*(?:from [\w.]+ import (?:\([^)]*\)|.*)|import .*)$", re.MULTILINE)
WORD = re.compile(r"\w+")


def modules() -> list[Path]:
    """Return every Python file of the tests."""
    return sorted([*TESTS.rglob("*.py"), *(CHATMAILD / "tests").rglob("*.py")])


def borrowed(source: str) -> set[str]:
    """Return the test modules of ours that a module imports."""
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
def test_the_next_test_sees_an_import_of_any_form(line: str) -> None:
    """Otherwise it could not fail."""
    assert borrowed(line) == {"test_imap"}


def test_no_test_module_is_imported() -> None:
    """Code that two test modules need is in tests/people, or in a module beside them."""
    found = {str(path): names for path in modules() if (names := borrowed(path.read_text()))}

    assert len(modules()) > 100
    assert found == {}


def test_claims_about_a_relay_are_all_there_is_in_their_directory() -> None:
    """A newcomer finds claims in tests/relay, and the code that they share in tests/people."""
    others = {
        path.name for path in (TESTS / "relay").glob("*.py") if not path.name.startswith("test_")
    }

    assert others == {"__init__.py", "conftest.py"}
