"""Policies that survive restarts, and a file that nothing else depends on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatmaild.tlspolicy import policy_store, sts
from chatmaild.tlspolicy.policy_store import Kept, Policies
from chatmaild.tlspolicy.sts import Policy

DAY = 86400.0
POLICY = Policy("enforce", ("mx.example.org", "*.example.net"), 10 * 86400)


class Machine:
    """A host with two clocks and a disk."""

    def __init__(self, folder: Path) -> None:
        """Be switched on."""
        self.path = folder / "policies.sqlite"
        self.up = 50.0
        self.time = 1_700_000_000.0
        self.started: list[Policies] = []

    def start(self) -> Policies:
        """Start the daemon after a boot."""
        self.up = 50.0
        self.started.append(Policies(self.path, clock=lambda: self.up, wall=lambda: self.time))
        return self.started[-1]

    def tell(self, statement: str, *values: str | float) -> list[str]:
        """Let SQLite execute a statement on the file."""
        with closing(sqlite3.connect(self.path, autocommit=True)) as file:
            return [row[0] for row in file.execute(statement, values)]

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.up += seconds
        self.time += seconds

    def domains(self) -> list[str]:
        """Return the domains in the file."""
        return self.tell("SELECT domain FROM policies ORDER BY domain")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Return a machine that has just booted."""
    machine = Machine(tmp_path)
    yield machine
    for policies in machine.started:
        policies.close()


def policy(kept: Kept | None) -> Policy | None:
    """Return the stored policy, or None."""
    return kept.policy if kept else None


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "killed"])
def test_a_policy_survives_a_restart_until_it_expires(machine: Machine, stopped: bool) -> None:
    """Its age counts from the fetch, whether the daemon ran or not."""
    before = machine.start()
    before.keep("example.org", "1", POLICY)
    if stopped:
        before.close()
    machine.wait(9 * DAY)
    after = machine.start()
    kept = after.get("example.org")
    assert kept is not None
    assert (kept.record_id, kept.policy) == ("1", POLICY)
    assert kept.renew <= machine.up
    machine.wait(DAY - 1)
    assert policy(after.get("example.org")) == POLICY
    machine.wait(2)
    assert after.get("example.org") is None
    assert machine.domains() == []


def test_a_policy_that_expired_meanwhile_is_deleted_from_the_file(machine: Machine) -> None:
    """Domains that users wrote to must not be stored longer than necessary."""
    machine.start().keep("example.org", "1", POLICY)
    machine.wait(11 * DAY)
    assert machine.start().get("example.org") is None
    assert machine.domains() == []


def test_unused_policies_expire_too(machine: Machine) -> None:
    """The daemon calls this every hour."""
    policies = machine.start()
    policies.keep("example.org", "1", POLICY)
    policies.keep("example.net", "1", Policy("testing", ("a.example.net",), 86400 * 30))
    machine.wait(11 * DAY)
    policies.forget_expired()
    assert machine.domains() == ["example.net"]


def test_a_year_is_reduced_to_the_maximum_age(machine: Machine) -> None:
    """A domain may ask for a year; policies in use are renewed long before."""
    policies = machine.start()
    policies.keep("example.org", "1", Policy("enforce", ("mx.example.org",), 31557600))
    machine.wait(policy_store.MAX_SECONDS - 1)
    assert policies.get("example.org") is not None
    machine.wait(2)
    assert policies.get("example.org") is None


@pytest.mark.parametrize("jump", [-1e9, -3600.0], ids=["no clock yet", "set back"])
def test_a_wrong_clock_neither_disables_nor_prolongs_a_policy(
    machine: Machine, jump: float
) -> None:
    """A small board boots with the time of its image, and gets the right time later."""
    machine.start().keep("example.org", "1", POLICY)
    machine.time += jump
    policies = machine.start()
    machine.time -= jump
    machine.wait(10 * DAY - 1)
    assert policy(policies.get("example.org")) == POLICY
    machine.wait(2)
    assert policies.get("example.org") is None


def test_the_newest_policy_of_a_domain_counts(machine: Machine) -> None:
    """The file has one row per domain."""
    policies = machine.start()
    policies.keep("example.org", "1", POLICY)
    changed = Policy("none", (), 86400)
    policies.keep("example.org", "2", changed)
    assert policy(machine.start().get("example.org")) == changed


def test_the_least_recently_used_policy_is_dropped_first(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who writes to thousands of domains does not displace the peers in use."""
    monkeypatch.setattr(policy_store, "MAX_POLICIES", 3)
    policies = machine.start()
    for domain in ("a.test", "b.test", "c.test"):
        policies.keep(domain, "1", POLICY)
    assert policies.get("a.test")
    policies.keep("d.test", "1", POLICY)
    assert machine.domains() == ["a.test", "c.test", "d.test"]
    assert policies.get("b.test") is None


def test_large_policies_count_for_more(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies may have a hundred hosts; thousands of them must not exhaust memory or disk."""
    large = Policy("enforce", tuple(f"{'x' * 60}.host-{n}.test" for n in range(100)), 86400)
    monkeypatch.setattr(policy_store, "MAX_BYTES", 2 * len(sts.text(large)))
    policies = machine.start()
    for domain in ("a.test", "b.test", "c.test", "c.test"):
        policies.keep(domain, "1", large)
    assert machine.domains() == ["b.test", "c.test"]
    # A larger file of another version is reduced as well.
    monkeypatch.setattr(policy_store, "MAX_BYTES", len(sts.text(large)))
    machine.start()
    assert machine.domains() == ["c.test"]


DAMAGED = {
    "text": b"no database at all\n" * 500,
    "header": b"SQLite format 3\0",
    "noise": b"SQLite format 3\0" + bytes(range(256)) * 80,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_file_that_is_not_a_database_is_recreated(
    machine: Machine, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """The log has one line, and mail continues."""
    machine.path.write_bytes(content)
    machine.start().keep("example.org", "1", POLICY)
    assert [record.getMessage() for record in caplog.records] == [
        "MTA-STS policies cannot be read, starting without any: SQLITE_NOTADB"
    ]
    assert policy(machine.start().get("example.org")) == POLICY


def test_a_truncated_file_is_recreated(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """A disk that lies about completed writes leaves such files."""
    policies = machine.start()
    for number in range(500):
        policies.keep(f"domain{number}.test", "1", POLICY)
    policies.close()
    content = machine.path.read_bytes()
    machine.path.write_bytes(content[: len(content) // 2])
    again = machine.start()
    assert again.get("domain1.test") is None
    again.keep("example.org", "1", POLICY)
    assert len(caplog.records) == 1
    assert policy(machine.start().get("example.org")) == POLICY


@pytest.mark.parametrize(
    "text",
    ["", "version: STSv1\nmode: enforce\nmx: a.test:.evil.test\nmax_age: 9\n", "mode: enforce"],
)
def test_an_invalid_row_is_dropped(machine: Machine, text: str) -> None:
    """Postfix never gets a policy from text that was not validated."""
    machine.start().close()
    machine.tell("INSERT INTO policies VALUES ('example.org', '1', ?, ?)", text, machine.time)
    assert machine.start().get("example.org") is None
    assert machine.domains() == []


def test_without_a_file_policies_last_until_the_daemon_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full or read-only disk must not stop outgoing mail."""
    policies = Policies(tmp_path / "missing" / "policies.sqlite")
    policies.keep("example.org", "1", POLICY)
    assert policy(policies.get("example.org")) == POLICY
    assert "will be lost at a restart" in caplog.text


def test_a_failed_write_is_only_logged(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the error but no domain."""
    policies = machine.start()
    machine.tell("DROP TABLE policies")
    policies.keep("example.org", "1", POLICY)
    assert policy(policies.get("example.org")) == POLICY
    assert "MTA-STS policies cannot be written: SQLITE_ERROR" in caplog.text
    assert "example.org" not in caplog.text
