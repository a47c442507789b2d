"""What a person reads who scans an invite of a relay that gives no new address now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from deltachat_rpc_client import JsonRpcError

from people.people import Person, imap_login, smtp_login

if TYPE_CHECKING:
    from harness.deltachat import Core
    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(120)

BUSY = "This server is too busy to create new addresses. Please try again later."
REASONS: dict[str, tuple[dict[str, Any], str]] = {
    "closed": (
        {"registration": "closed"},
        "This server does not create new addresses at the moment.",
    ),
    "invite": ({"registration": "invite"}, "This server gives new addresses by invitation only."),
    "full": ({"admission": {"minFreeDisk": "1000000G"}}, BUSY),
    "no memory": ({"admission": {"minAvailableMemory": "1000000G"}}, BUSY),
    "load": ({"admission": {"maxLoad": 1}}, BUSY),
}
# The load average is the host's. Here the daemon reads one that stands still.
LOAD = "/run/loadavg"
LOADED = "/run/systemd/system/chatmail-accounts.service.d/loaded.conf"


@pytest.fixture(scope="module")
def crowded(lab: Lab) -> Relay:
    """A relay that a test makes short of something."""
    relay = lab.relay("_crowded.test")
    relay.machine.write(LOAD, "1.01 0.50 0.25 1/100 1000\n")
    relay.machine.write(LOADED, f"[Service]\nBindReadOnlyPaths={LOAD}:/proc/loadavg\n")
    relay.machine.run("systemctl daemon-reload && systemctl restart chatmail-accounts.service")
    return relay


def test_a_load_below_the_limit_is_no_reason(crowded: Relay) -> None:
    """The limit is what the machine may carry."""
    crowded.reconfigure({"admission": {"maxLoad": 2}})

    assert imap_login(crowded, *crowded.credentials()) == ""


@pytest.mark.parametrize("why", REASONS)
def test_the_app_shows_a_sentence(crowded: Relay, core: Core, why: str) -> None:
    """Not a status code; and who has an address notices nothing of it."""
    crowded.reconfigure({})
    settled = Person.on(crowded)
    settings, reason = REASONS[why]
    crowded.reconfigure(settings)

    with pytest.raises(JsonRpcError) as refused:
        core.deltachat.add_account().add_transport_from_qr(
            f"DCACCOUNT:https://{crowded.domain}/new"
        )

    assert reason in str(refused.value)
    assert imap_login(crowded, settled.address, settled.password) == ""
    assert smtp_login(crowded, settled.address, settled.password) == ""


@pytest.mark.parametrize("why", ["full", "no memory", "load"])
def test_a_first_login_under_pressure_may_be_tried_again(crowded: Relay, why: str) -> None:
    """A refusal for good would make a client throw the address away."""
    crowded.reconfigure(REASONS[why][0])
    address, password = crowded.credentials()

    # SMTP has no such word from Postfix, whatever Dovecot says; clients make addresses by IMAP.
    assert "UNAVAILABLE" in imap_login(crowded, address, password)
    crowded.reconfigure({})
    assert imap_login(crowded, address, password) == ""


def test_an_hour_of_new_accounts_has_an_end(crowded: Relay, core: Core) -> None:
    """Told with the same sentence as all that passes."""
    crowded.reconfigure({"accounts": {"maxPerHour": 1}})
    Person.on(crowded)

    with pytest.raises(JsonRpcError, match="too busy"):
        core.deltachat.add_account().add_transport_from_qr(
            f"DCACCOUNT:https://{crowded.domain}/new"
        )
