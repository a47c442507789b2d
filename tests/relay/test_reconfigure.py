"""After a changed setting, only the daemons that read it restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay

DOMAIN = "_changed.test"
OURS = {
    *("chatmail-accounts.service", "chatmail-certificate.service", "chatmail-filter.service"),
    *("chatmail-tls.service", "chatmail-web.service", "chatmail-website.service"),
}


@pytest.fixture(scope="module")
def changed(lab: Lab) -> Relay:
    """A relay whose settings these tests change."""
    return lab.relay(DOMAIN)


def started(relay: Relay) -> dict[str, str]:
    """Return a value for each unit that changes whenever systemd starts it."""
    units = sorted(relay.value.reads)
    shown = relay.machine.run(["systemctl", "show", "--property=Id,InvocationID", *units]).out
    found = {}
    for block in shown.split("\n\n"):
        properties = dict(line.partition("=")[::2] for line in block.strip().splitlines())
        found[properties["Id"]] = properties["InvocationID"]
    return found


@pytest.mark.parametrize(
    ("settings", "readers"),
    [
        ({"sending": {"perMinute": 61}}, OURS),
        ({"turn": {"minPort": 49153, "maxPort": 50152}}, {"chatmail-turn.service"}),
        ({"durable": False}, {"dovecot.service"}),
        (
            {"connections": {"perAddress": 51}},
            {"dovecot.service", "nginx.service", "postfix.service"},
        ),
    ],
    ids=["sending", "turn", "durable", "connections"],
)
def test_a_setting_restarts_only_the_units_that_read_it(
    changed: Relay, settings: dict[str, Any], readers: set[str]
) -> None:
    """An unnecessary restart ends calls, sessions and deliveries."""
    changed.reconfigure({})
    before = started(changed)
    assert before["chatmail-turn.service"]

    changed.reconfigure(settings)

    after = started(changed)
    assert {unit for unit in after if after[unit] != before[unit]} == readers


def test_settings_that_change_nothing_restart_nothing(changed: Relay) -> None:
    """Switching to the same configuration has no effect."""
    changed.reconfigure({})
    before = started(changed)

    changed.reconfigure({"durable": True})

    assert started(changed) == before


def test_a_disabled_part_leaves_no_units(changed: Relay) -> None:
    """Nothing of it keeps running, fails, or starts at the next boot."""
    changed.reconfigure({"metrics": {"enable": True}})
    assert changed.machine.run(["systemctl", "is-active", "chatmail-metrics.socket"]).status == 0

    changed.reconfigure({})

    left = changed.machine.run(["systemctl", "list-unit-files", "chatmail-*"]).out
    assert "metrics" not in left
    assert changed.machine.failed_units() == []
