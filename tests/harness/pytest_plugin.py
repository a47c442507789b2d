"""
The lab in pytest: fixtures `lab` and `relay`, evidence of failures, `--sit`.

`tests/lab test` loads it; other projects' test suites can use `-p harness.pytest_plugin`.

Machines that a test file booted are removed when the next file begins, because a lab has room for
some forty machines and each takes memory. Machines of fixtures with scope "session" stay.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from harness import evidence
from harness.dns import MACHINE as DNS_MACHINE
from harness.evidence import SIT
from harness.lab import Lab
from harness.machine import machines
from harness.places import SUITES, default_suite, state
from harness.process import HOST_PID_VARIABLE, host_path
from harness.relay import Relay

pytest_plugins = ["harness.sharing", "harness.skips"]
# Failed assertions in these modules show the compared values, as in test modules.
pytest.register_assert_rewrite("people")

DOMAIN = "_one.test"
STAYING = pytest.StashKey[set[str]]()
LAB = pytest.StashKey[Lab]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the lab's options."""
    group = parser.getgroup("lab", "relays in containers")
    group.addoption(
        "--sit",
        action="store_true",
        help="stop at the first failure, keep everything up and explain how to enter",
    )
    group.addoption(
        "--suite", choices=SUITES, default=None, help="Debian suite of the machines ($SUITE)"
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Show the Debian release of the machines."""
    return f"lab: machines are Debian {config.getoption('--suite') or default_suite()}"


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Lab:
    """The lab; it boots machines at first use, and later tests reuse them."""
    if not os.environ.get(HOST_PID_VARIABLE):
        pytest.fail(
            "this test is a client of the lab; run it with: tests/lab test PATH", pytrace=False
        )
    found = Lab(request.config.getoption("--suite"))
    request.config.stash[LAB] = found
    request.config.stash[STAYING] = set(machines())
    return found


@pytest.fixture(scope="session")
def relay(lab: Lab) -> Relay:
    """A running relay with default settings, shared by all tests."""
    return lab.relay(DOMAIN)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Record which machines all tests share."""
    staying = request.config.stash.get(STAYING, None)
    if staying is None or fixturedef.scope != "session":
        return (yield)
    before = set(machines())
    result = yield
    staying.update(set(machines()) - before)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """Remove the machines of this file's tests."""
    yield
    lab = item.config.stash.get(LAB, None)
    if lab is None or nextitem is None or nextitem.path == item.path or item.session.shouldstop:
        return
    for name, machine in machines().items():
        if name not in {DNS_MACHINE, *item.config.stash[STAYING]}:
            lab.stop(machine)


def pytest_runtest_setup() -> None:
    """Start without transcripts."""
    evidence.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Collect evidence while the machines are as the failure left them."""
    report = yield
    # A test that has not used the lab has no evidence.
    if report.failed and machines() and {"lab", "relay"} & set(getattr(item, "fixturenames", ())):
        place = evidence.collect(item.nodeid, report.longreprtext)
        report.sections.append(("evidence", f"journals and transcripts: {place}"))
        if item.config.getoption("--sit"):
            host_path(state() / SIT).touch()
            item.session.shouldstop = "a test failed and --sit keeps the relays up"
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """With --sit, print how to enter the kept machines."""
    if config.getoption("--sit") and host_path(state() / SIT).exists():
        terminalreporter.section("the lab is still up")
        for name, machine in machines().items():
            if machine.running():
                terminalreporter.write_line(
                    f"  {name:20} {machine.address:14} tests/lab enter {name}"
                )
        terminalreporter.write_line("  among the clients:   tests/lab run")
        terminalreporter.write_line("  take it down:        tests/lab down")
