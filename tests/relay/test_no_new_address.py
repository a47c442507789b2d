"""The message that users see when they scan an invite and the relay creates no address."""

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
# The load average is that of the host. Here the daemon reads a constant one.
LOAD = "/run/loadavg"
LOADED = "/run/systemd/system/chatmail-accounts.service.d/loaded.conf"


@pytest.fixture(scope="module")
def crowded(lab: Lab) -> Relay:
    """A relay that a test makes short of a resource."""
    relay = lab.relay("_crowded.test")
    relay.machine.write(LOAD, "1.01 0.50 0.25 1/100 1000\n")
    relay.machine.write(LOADED, f"[Service]\nBindReadOnlyPaths={LOAD}:/proc/loadavg\n")
    relay.machine.run("systemctl daemon-reload && systemctl restart chatmail-accounts.service")
    return relay


def test_a_load_below_the_limit_is_accepted(crowded: Relay) -> None:
    """The operator chooses the load that the machine can carry."""
    crowded.reconfigure({"admission": {"maxLoad": 2}})

    assert imap_login(crowded, *crowded.credentials()) == ""


@pytest.mark.parametrize("why", REASONS)
def test_the_app_shows_a_sentence(crowded: Relay, core: Core, why: str) -> None:
    """The app shows a sentence instead of a status code, and existing users notice nothing."""
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
def test_a_first_login_without_resources_may_be_retried(crowded: Relay, why: str) -> None:
    """After a permanent refusal a client would discard the address."""
    crowded.reconfigure(REASONS[why][0])
    address, password = crowded.credentials()

    # In SMTP, Postfix cannot express this, whatever Dovecot says; clients create addresses by IMAP.
    assert "UNAVAILABLE" in imap_login(crowded, address, password)
    crowded.reconfigure({})
    assert imap_login(crowded, address, password) == ""


def test_the_hourly_limit_has_the_same_message(crowded: Relay, core: Core) -> None:
    """It is a temporary condition like the others."""
    crowded.reconfigure({"accounts": {"maxPerHour": 1}})
    Person.on(crowded)

    with pytest.raises(JsonRpcError, match="too busy"):
        core.deltachat.add_account().add_transport_from_qr(
            f"DCACCOUNT:https://{crowded.domain}/new"
        )
