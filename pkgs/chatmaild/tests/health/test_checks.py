"""The combined result of all checks."""

from collections.abc import Iterator

import pytest

from chatmaild.config import Config
from chatmaild.health import checks
from chatmaild.health.checks import Check, Look, State


def found(*states: State) -> list[Check]:
    """Return one check in each of these states."""
    return [Check(f"thing {number}", state, "text") for number, state in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        (["ok", "ok"], "The relay works."),
        (["ok", "note"], "The relay works; see 1 note above."),
        (["wrong", "note", "unknown"], "1 thing is wrong."),
        (["wrong", "wrong"], "2 things are wrong."),
        (
            ["ok", "unknown", "note"],
            "No faults found, but 1 thing could not be checked.",
        ),
    ],
)
def test_the_verdict_is_not_better_than_the_checks(states: list[State], verdict: str) -> None:
    """The last line alone must not mislead."""
    assert checks.verdict(found(*states)) == verdict
    assert list(checks.lines(found(*states)))[-1] == verdict


def test_a_remedy_stands_below_its_fault() -> None:
    """It is aligned so that it is easy to see."""
    lines = list(checks.lines([Check("disk", "wrong", "is full", "delete something")]))
    assert lines[:2] == ["WRONG  disk  is full", "             -> delete something"]


def test_a_check_that_fails_hides_no_other(config: Config) -> None:
    """A bug in a check must neither look like success nor stop the command."""

    def broken(_look: Look) -> Iterator[Check]:
        raise RuntimeError("no")

    def well(_look: Look) -> Iterator[Check]:
        yield Check("well", "ok", "")

    first, second = checks.run(Look(config, as_root=True), [broken, well])
    assert (first.state, first.name, first.text) == (
        "unknown",
        "test_checks.broken",
        "cannot be checked: RuntimeError: no",
    )
    assert second.state == "ok"
