"""Names in the lab."""

from __future__ import annotations

import socket

import dns.resolver
import pytest

from harness.errors import LabError
from harness.lab import Lab


def addresses(name: str) -> set[str]:
    """Return the answer of the clients' own resolver."""
    return {str(entry[4][0]) for entry in socket.getaddrinfo(name, 25, type=socket.SOCK_STREAM)}


def test_a_published_name_resolves_among_the_clients_at_once(lab: Lab) -> None:
    """`publish` returns when the server answers from the new zone."""
    lab.dns.publish("_names.test", [("@", "A", "192.0.2.77"), ("www", "CNAME", "_names.test.")])

    assert addresses("_names.test") == {"192.0.2.77"}
    assert addresses("www._names.test") == {"192.0.2.77"}


def test_a_change_is_seen_at_once(lab: Lab) -> None:
    """No cache between server and client keeps an answer, not even a negative one."""
    lab.dns.remove("_change.test")
    with pytest.raises(socket.gaierror):
        addresses("_change.test")

    lab.dns.publish("_change.test", [("@", "A", "192.0.2.1")])
    assert addresses("_change.test") == {"192.0.2.1"}

    lab.dns.publish("_change.test", [("@", "AAAA", "2001:db8::1")])
    assert addresses("_change.test") == {"2001:db8::1"}


def test_machines_resolve_as_clients_do(lab: Lab) -> None:
    """A machine without its own resolver uses the lab's."""
    lab.dns.publish("_names.test", [("@", "A", "192.0.2.77")])
    machine = lab.machine("asking.test")

    assert "192.0.2.77" in machine.run(["getent", "ahostsv4", "_names.test"]).out

    lab.stop(machine)


@pytest.mark.parametrize("name", ["nobody.test", "example.com", "delta.chat"])
def test_unpublished_names_do_not_exist(lab: Lab, name: str) -> None:
    """The answer is NXDOMAIN from the lab's root, not a time-out on the way to the real root."""
    _ = lab.dns

    with pytest.raises(dns.resolver.NXDOMAIN):
        dns.resolver.resolve(name, "A", lifetime=5)


def test_a_long_txt_record_is_complete(lab: Lab) -> None:
    """A DKIM key is longer than the 255 bytes of one string."""
    text = 'k="\\' + "x" * 600
    lab.dns.publish("_txt.test", [("key._domainkey", "TXT", text)])

    [answer] = dns.resolver.resolve("key._domainkey._txt.test", "TXT")

    assert b"".join(answer.strings).decode() == text


def test_a_broken_zone_is_refused_and_the_old_one_stays(lab: Lab) -> None:
    """The error names the zone and Knot's reason."""
    lab.dns.publish("_names.test", [("@", "A", "192.0.2.77")])

    with pytest.raises(LabError, match=r"_names\.test could not be published: .*address"):
        lab.dns.publish("_names.test", [("@", "A", "not-an-address")])

    assert addresses("_names.test") == {"192.0.2.77"}
    lab.dns.publish("_other.test", [("@", "A", "192.0.2.78")])
    assert addresses("_names.test") == {"192.0.2.77"}
