"""Relays that meet other people's programs, and the table of what worked."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.archive import tree
from harness.cores import releases
from interop.table import FAILED, Row, markdown, merged
from people.exim import Exim
from people.pgp_modes import SCRIPTS
from people.strangers import Stranger

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay

ROWS = pytest.StashKey[list[Row]]()
EVERY_ROW: list[Row] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what only this directory's tests have."""
    group = parser.getgroup("interop", "other people's programs")
    group.addoption(
        "--all-cores", action="store_true", help="every release in cores.txt, not only the daily"
    )
    group.addoption("--table", metavar="FILE", help="write the table of what worked as Markdown")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what takes a `release` with each of those wanted."""
    if "release" in metafunc.fixturenames:
        every = metafunc.config.getoption("--all-cores", default=False)
        wanted = [one for one in releases() if every or one.daily]
        metafunc.parametrize("release", wanted, ids=[one.version for one in wanted])


@pytest.fixture(scope="session")
def strict_relay(lab: Lab) -> Relay:
    """A relay whose operator wants no cleartext from outside."""
    return lab.relay("_strict.test", {"incoming": {"cleartext": False}})


@pytest.fixture(scope="session")
def public_relay(lab: Lab) -> Relay:
    """A relay with a certificate that other servers trust."""
    return lab.relay("two.test", {"privacy": {"mail": "privacy@two.test"}})


@pytest.fixture(scope="session")
def strict_public_relay(lab: Lab) -> Relay:
    """The same without cleartext from outside; Exim knows no domain that begins with `_`."""
    return lab.relay("guarded.test", {"incoming": {"cleartext": False}})


@pytest.fixture(scope="session")
def correspondent(lab: Lab) -> Stranger:
    """Another mail domain, whose DKIM key is in the DNS."""
    return Stranger.at(lab.dns, "correspondent.test")


@pytest.fixture(scope="module")
def exim_peer(lab: Lab) -> Exim:
    """An Exim elsewhere, on a machine with the other programs."""
    peer = Exim.up(lab, "exim.test")
    peer.machine.unpack(tree(Path(__file__).with_name("programs"), SCRIPTS))
    return peer


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[[Row], None]:
    """Say what is tried next; the last one said before a failure is what failed."""
    rows = request.node.stash.setdefault(ROWS, [])
    return rows.append  # type: ignore[no-any-return]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the rows of a test that has run."""
    report = yield
    rows = item.stash.get(ROWS, [])
    if call.when == "call" and rows:
        if report.failed:
            rows[-1].result = FAILED
        EVERY_ROW.extend(rows)
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table, and write it where that was asked for."""
    if not EVERY_ROW:
        return
    terminalreporter.section("what worked with what")
    for row in merged(EVERY_ROW):
        terminalreporter.write_line(" | ".join(row.cells()))
    if file := config.getoption("--table", default=None):
        Path(file).write_text(markdown(EVERY_ROW))
