"""Users, servers and relays for the tests of a relay."""

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
    """A user with a new address, because every account has its own rate limit."""
    return Person.on(relay)


@pytest.fixture
def bob(relay: Relay) -> Person:
    """Another user with a new address on the relay."""
    return Person.on(relay)


@pytest.fixture
def core(tmp_path: Path) -> Iterator[deltachat.Core]:
    """A running core without accounts."""
    evidence.attach("core.log", lambda: (tmp_path / "core.log").read_text(errors="replace"))
    with deltachat.core(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def stranger(lab: Lab) -> Stranger:
    """Another mail server, with its DKIM key in the DNS."""
    return Stranger.at(lab.dns, "stranger.test")


@pytest.fixture(scope="session")
def public_relay(lab: Lab) -> Relay:
    """A relay with a publicly trusted certificate, like all except `_` domains."""
    return lab.relay("two.test", {"privacy": {"mail": "privacy@two.test"}})


@pytest.fixture(scope="session")
def strict_relay(lab: Lab) -> Relay:
    """A relay whose operator accepts no unencrypted mail from outside."""
    return lab.relay("_strict.test", {"incoming": {"cleartext": False}})


@pytest.fixture(scope="module")
def near(lab: Lab) -> Relay:
    """A relay with a domain, a trusted certificate, and a DKIM key in the DNS."""
    return lab.relay("near.test")


@pytest.fixture(scope="module")
def third(lab: Lab) -> Relay:
    """A relay whose name indicates a self-signed certificate."""
    return lab.relay("_third.test")


@pytest.fixture(scope="module")
def classic(lab: Lab) -> MailServer:
    """A classic mail server that refuses some recipients and accepts any mail for the others."""
    return MailServer.up(lab, "classic.test")
