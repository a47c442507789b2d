"""Postfix's connection counter enforces its limits, and logs no client."""

from __future__ import annotations

import pytest

from harness import network
from harness.lab import Lab
from people.dialogue import Dialogue

pytestmark = pytest.mark.timeout(120)

MANY, ONE = (network.address4(number) for number in network.CLIENTS[:2])
LIMIT = 5
# In this relay, lines with addresses reach the journal. A missing line was not logged.
UNFILTERED = "/run/systemd/system/postfix.service.d/unfiltered.conf"


def test_anvil_logs_nothing_when_it_exits(lab: Lab) -> None:
    """It named the busiest client, in a line that journald's filter sometimes missed."""
    relay = lab.relay("_anvil.test", {"connections": {"perAddress": LIMIT}})
    machine = relay.machine
    machine.write(UNFILTERED, "[Service]\nLogFilterPatterns=\n")
    machine.run("systemctl daemon-reload && systemctl restart postfix.service")
    machine.wait_for_port(25)
    start = machine.cursor()
    held = [Dialogue.connect(relay.address, 25, source=MANY) for _ in range(LIMIT)]
    for connection in held:
        connection.expect("220 ")
    with Dialogue.connect(relay.address, 25, source=MANY) as more:
        more.expect("421 4.7.0 ")
    with Dialogue.connect(relay.address, 25, source=ONE) as other:
        other.expect("220 ")
    machine.run("pgrep --exact --euid postfix anvil")
    machine.run(["systemctl", "restart", "postfix.service"])
    machine.run(["journalctl", "--sync"])
    said = machine.journal(after=start)

    assert f"concurrency limit exceeded: {LIMIT + 1} from unknown[{MANY}]" in said
    assert "postfix/anvil" not in said
    assert "statistics: " not in said
