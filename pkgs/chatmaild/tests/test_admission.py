from pathlib import Path

import pytest

from chatmaild.admission import Host, Pressure, decide, nocreate, read_host, unreadable
from chatmaild.config import Admission

LIMITS = Admission(max_load=5.0, min_available_memory=200, min_free_disk=1000)
OFF = Admission(max_load=0, min_available_memory=0, min_free_disk=0)


@pytest.mark.parametrize(
    ("host", "pressure"),
    [
        (Host(5.0, 200, 1000), None),
        (Host(5.1, 200, 1000), Pressure.LOAD),
        (Host(5.0, 199, 1000), Pressure.MEMORY),
        (Host(5.0, 200, 999), Pressure.DISK),
        (Host(None, None, None), None),
    ],
)
def test_refuses_below_a_limit_and_not_at_it(host: Host, pressure: Pressure | None) -> None:
    """A value that cannot be read forbids nothing."""
    assert decide(host, LIMITS) is pressure


def test_a_limit_of_zero_is_off() -> None:
    """The operator can disable a limit in this way."""
    assert decide(Host(1000.0, 0, 0), OFF) is None
    assert unreadable(Host(None, None, None), OFF) == []


def test_names_limits_without_effect() -> None:
    """A sandbox that hides /proc must not silently disable a limit."""
    assert unreadable(Host(None, 1, None), LIMITS) == [
        "admission.maxLoad",
        "admission.minFreeDisk",
    ]


def test_looks_at_this_host(tmp_path: Path) -> None:
    """Before the first login the directory of the mailboxes is missing, so its parent counts."""
    host = read_host(tmp_path / "mail" / "absent")

    assert host.load is not None
    assert host.available_memory is not None
    assert host.available_memory > 1024 * 1024
    assert host.free_disk is not None
    assert host.free_disk > 0


@pytest.mark.parametrize("content", ["", "MemFree: 1 kB\n", "MemAvailable:\n", "MemAvailable: x\n"])
def test_a_strange_meminfo_is_unreadable(tmp_path: Path, content: str) -> None:
    """An older kernel lacks MemAvailable."""
    (tmp_path / "meminfo").write_text(content)

    assert read_host(tmp_path, tmp_path).available_memory is None


def test_the_load_is_that_of_proc(tmp_path: Path) -> None:
    """A container on a busy host has its own load. An unreadable load is distinguished from 0."""
    (tmp_path / "loadavg").write_text("1.25 0.50 0.25 1/100 1000\n")
    assert read_host(tmp_path, tmp_path).load == 1.25

    for content in ("", "busy\n"):
        (tmp_path / "loadavg").write_text(content)
        assert read_host(tmp_path, tmp_path).load is None


def test_a_stop_file_that_cannot_be_checked_counts(tmp_path: Path) -> None:
    """In doubt, the operator's wish to close the relay is respected."""
    (tmp_path / "file").touch()

    assert not nocreate(tmp_path / "nocreate")
    assert nocreate(tmp_path / "file")
    assert nocreate(tmp_path / "file" / "nocreate")
