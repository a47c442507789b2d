"""The results of checks, and running all checks at once."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol

from chatmaild.config import Config

# A daemon answers within milliseconds, and on a busy machine within a second.
ANSWER_SECONDS = 2.0

State = Literal["ok", "note", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """
    One line of the output: a thing, its state, some text, and a remedy for a fault.

    With a note the thing works, but the operator should know about it. Unknown means that this user
    cannot see it, or that it did not answer in time for a reason that may be elsewhere.
    """

    name: str
    state: State
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """Input of every check; `as_root` says whether all users' files and sockets are accessible."""

    config: Config
    as_root: bool

    @classmethod
    def by_this_user(cls, config: Config) -> "Look":
        """Check with the rights of the user who runs the command."""
        return cls(config, os.geteuid() == 0)

    def hidden(self, name: str, thing: str) -> Check:
        """Report that this user may not see a thing."""
        return Check(name, "unknown", f"only root can see {thing}")


class Checker(Protocol):
    """A function that checks one thing."""

    __module__: str
    __name__: str

    def __call__(self, look: Look, /) -> Iterable[Check]:
        """Check it and report the results."""


def run(look: Look, checkers: Iterable[Checker]) -> list[Check]:
    """Run all checkers at once, each with its own deadlines; results keep the given order."""
    chosen = list(checkers)
    with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
        return [
            check for done in pool.map(lambda one: _listed(one, look), chosen) for check in done
        ]


def _listed(checker: Checker, look: Look) -> list[Check]:
    try:
        return list(checker(look))
    except Exception as error:  # noqa: BLE001 - one check must not hide all others
        name = f"{checker.__module__.rpartition('.')[2]}.{checker.__name__}"
        return [Check(name, "unknown", f"cannot be checked: {type(error).__name__}: {error}")]


def verdict(checks: Iterable[Check]) -> str:
    """Summarize in one sentence."""
    states = [check.state for check in checks]
    wrong, notes, unknown = (states.count(one) for one in ("wrong", "note", "unknown"))
    if wrong:
        return f"{_count(wrong, 'thing is', 'things are')} wrong."
    if unknown:
        return f"No faults found, but {_count(unknown, 'thing', 'things')} could not be checked."
    if notes:
        return f"The relay works; see {_count(notes, 'note', 'notes')} above."
    return "The relay works."


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def lines(checks: Iterable[Check]) -> Iterator[str]:
    """Write the results for the operator, the verdict last."""
    kept = list(checks)
    width = max((len(check.name) for check in kept), default=0)
    labels = {"ok": "ok", "note": "note", "wrong": "WRONG", "unknown": "?"}
    for check in kept:
        yield f"{labels[check.state]:5}  {check.name:{width}}  {check.text}"
        if check.remedy:
            yield f"{'':5}  {'':{width}}  -> {check.remedy}"
    yield verdict(kept)
