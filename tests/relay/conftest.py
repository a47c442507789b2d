"""People and places that claims about a relay are told with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import deltachat, evidence
from harness.stranger import MailServer
from people.people import Person
from people.strangers import Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.lab import Lab
    from harness.relay import Relay


@pytest.fixture
def alice(relay: Relay) -> Person:
    """Somebody with a new address, because everybody has a budget of messages per minute."""
    return Person.on(relay)


@pytest.fixture
def bob(relay: Relay) -> Person:
    """Somebody else with a new address on the relay."""
    return Person.on(relay)


@pytest.fixture
def core(tmp_path: Path) -> Iterator[deltachat.Core]:
    """A running core without accounts."""
    evidence.attach("core.log", lambda: (tmp_path / "core.log").read_text(errors="replace"))
    with deltachat.core(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def stranger(lab: Lab) -> Stranger:
    """Another mail server, whose DKIM key the DNS knows."""
    return Stranger.at(lab.dns, "stranger.test")


@pytest.fixture(scope="session")
def public_relay(lab: Lab) -> Relay:
    """A relay with a certificate that the world believes, as all but those named `_` have."""
    return lab.relay("two.test", {"privacy": {"mail": "privacy@two.test"}})


@pytest.fixture(scope="session")
def strict_relay(lab: Lab) -> Relay:
    """A relay whose operator wants no cleartext from outside."""
    return lab.relay("_strict.test", {"incoming": {"cleartext": False}})


@pytest.fixture(scope="module")
def near(lab: Lab) -> Relay:
    """A relay with a name, a certificate that everybody believes, and a DKIM key in the DNS."""
    return lab.relay("near.test")


@pytest.fixture(scope="module")
def third(lab: Lab) -> Relay:
    """A relay whose name says that its certificate is self-made."""
    return lab.relay("_third.test")


@pytest.fixture(scope="module")
def classic(lab: Lab) -> MailServer:
    """A classic mail server, which refuses some recipients and takes everything for others."""
    return MailServer.up(lab, "classic.test")
