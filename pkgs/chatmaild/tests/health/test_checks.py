"""What all checks together say."""

from collections.abc import Iterator

import pytest

from chatmaild.config import Config
from chatmaild.health import checks
from chatmaild.health.checks import Check, Look, State


def found(*states: State) -> list[Check]:
    """Make a check in each state."""
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
            "Nothing is wrong as far as this could see; 1 thing it could not.",
        ),
    ],
)
def test_the_verdict_is_no_better_than_what_was_seen(states: list[State], verdict: str) -> None:
    """The last line alone must not deceive."""
    assert checks.verdict(found(*states)) == verdict
    assert list(checks.lines(found(*states)))[-1] == verdict


def test_a_remedy_stands_below_its_fault() -> None:
    """Aligned, so that the eye finds it."""
    lines = list(checks.lines([Check("disk", "wrong", "is full", "delete something")]))
    assert lines[:2] == ["WRONG  disk  is full", "             -> delete something"]


def test_a_check_that_fails_hides_no_other(config: Config) -> None:
    """A fault of this program is not a clean bill of health, and not the end either."""

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
