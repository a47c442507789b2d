"""Units in every state of systemd."""

import pytest

from chatmaild.health import units

RUNS = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Type": "notify"}
JOB = {"LoadState": "loaded", "Type": "oneshot", "Result": "success"}


@pytest.mark.parametrize(
    "properties",
    [
        RUNS,
        RUNS | {"ActiveState": "reloading", "SubState": "reload"},
        JOB | {"ActiveState": "inactive", "SubState": "dead"},
        JOB | {"ActiveState": "active", "SubState": "exited"},
        JOB | {"ActiveState": "activating", "SubState": "start"},
    ],
)
def test_a_unit_that_does_its_work_is_no_fault(properties: dict[str, str]) -> None:
    """A oneshot that has succeeded need not be active."""
    assert units._fault("a.service", properties) is None


@pytest.mark.parametrize(
    ("properties", "text", "remedy"),
    [
        ({"LoadState": "not-found"}, "is not installed (not-found)", "nixos-rebuild switch"),
        (
            RUNS | {"ActiveState": "inactive", "SubState": "dead"},
            "does not run: inactive (dead)",
            "systemctl start a.service",
        ),
        (
            RUNS | {"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "7"},
            "fails repeatedly (7 restarts)",
            "journalctl -u a.service",
        ),
        (
            JOB | {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"},
            "does not run: failed (failed)",
            "journalctl -u a.service",
        ),
    ],
)
def test_a_unit_that_failed_is_named_with_a_remedy(
    properties: dict[str, str], text: str, remedy: str
) -> None:
    """The output contains the command to run next."""
    check = units._fault("a.service", properties)
    assert check
    assert (check.name, check.state, check.text) == ("a.service", "wrong", text)
    assert remedy in check.remedy
