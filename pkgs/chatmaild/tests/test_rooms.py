"""The packages of chatmaild import in one direction, and none of them is too large."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import chatmaild

SOURCE = Path(chatmaild.__file__).parent
# From the bottom up: a package imports only the ones before it, and itself.
ORDER = (
    "config_file",
    "config",
    "admission",
    "text",
    "service",
    "postfix",
    "dovecot",
    "book",
    "push",
    "accounts",
    "message",
    "signatures",
    "filter",
    "expiry",
    "tlspolicy",
    "web",
    "website",
    "echo",
    "metrics",
    "zone",
    "health",
    "admin",
)
MAX_LINES = 2000
MAX_FUNCTION_LINES = 60


def _room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "chatmaild":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chatmaild."):
            yield (node.module or "").split(".")[1]


def test_no_import_runs_upward() -> None:
    """So the code can be read from the bottom, and nothing unknown appears."""
    found = {
        (_room(path), imported)
        for path in SOURCE.rglob("*.py")
        if path.parent != SOURCE or path.stem != "__init__"
        for imported in _imports(path)
    }

    assert len(found) > 20
    assert [
        (room, imported) for room, imported in found if ORDER.index(imported) > ORDER.index(room)
    ] == []


def test_no_package_is_too_large() -> None:
    """A package can be read in an afternoon."""
    lines: dict[str, int] = {}
    for path in SOURCE.rglob("*.py"):
        lines[_room(path)] = lines.get(_room(path), 0) + len(path.read_text().splitlines())

    assert {room: count for room, count in lines.items() if count > MAX_LINES} == {}


def test_every_import_is_a_dependency() -> None:
    """Packages that only tests need are not part of a relay; the tests' machine has both."""
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text())["project"]
    distributions = {"dnspython": "dns", "markdown-it-py": "markdown_it"}
    part_of = {"markupsafe": "jinja2"}
    modules = {distributions.get(name, name.replace("-", "_")) for name in project["dependencies"]}
    imported = {
        name.partition(".")[0]
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }

    others = imported - sys.stdlib_module_names - {"chatmaild"}
    assert {part_of.get(name, name) for name in others} == modules


def test_every_function_fits_on_a_screen() -> None:
    """With its docstring; what is longer does more than one thing."""
    long = {
        f"{path.relative_to(SOURCE)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    }

    assert long == {}


def _classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield str(path.relative_to(SOURCE)), node


def test_a_class_has_a_name_of_its_own() -> None:
    """So it is clear which one is meant; private classes stay in their file."""
    places: dict[str, list[str]] = {}
    for path, node in _classes():
        places.setdefault(node.name, []).append(path)

    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_the_name_of_an_exception_ends_in_error() -> None:
    """With one style, `except` is easy to read."""
    found = [
        f"{path}:{node.name}"
        for path, node in _classes()
        for base in node.bases
        if ast.unparse(base).endswith(("Exception", "Error")) and not node.name.endswith("Error")
    ]

    assert found == []
