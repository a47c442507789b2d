"""MTA-STS (RFC 8461): a policy once fetched holds, whatever the DNS or the web then says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.archive import File
from harness.stranger import MailServer
from people.outgoing import deferred, empty_queue, level, send
from people.people import Person

if TYPE_CHECKING:
    from harness.dns import Record
    from harness.lab import Lab
    from harness.machine import Machine
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)

POLICY_SITE = """\
pid /run/nginx.pid;
events {{ }}
http {{ server {{
    listen 443 ssl;
    server_name mta-sts.{domain};
    ssl_certificate /etc/nginx/chain.pem;
    ssl_certificate_key /etc/nginx/key.pem;
    location = /.well-known/mta-sts.txt {{ default_type text/plain; root /srv; }}
}} }}
"""


@pytest.fixture(scope="module")
def sender(lab: Lab) -> Relay:
    """A relay with a certificate that everybody believes."""
    return lab.relay("sender.test")


@pytest.fixture
def alice(sender: Relay) -> Person:
    """Somebody who writes."""
    return Person.on(sender)


def serve_policy(lab: Lab, machine: Machine, domain: str, policy: str) -> None:
    """Have a machine serve an MTA-STS policy as any web server would."""
    chain, key = lab.ca.certificate(f"mta-sts.{domain}")
    machine.unpack(
        {
            "/etc/nginx/nginx.conf": File(POLICY_SITE.format(domain=domain)),
            "/etc/nginx/chain.pem": File(chain),
            "/etc/nginx/key.pem": File(key, mode="0600"),
            "/srv/.well-known/mta-sts.txt": File(policy),
        }
    )
    machine.run(["systemctl", "restart", "nginx"])
    machine.wait_for_port(443)


@pytest.fixture(scope="module")
def thief(lab: Lab) -> MailServer:
    """A server with a good certificate for its own name, where nobody's mail belongs."""
    return MailServer.up(lab, "thief.test")


def policed(lab: Lab, domain: str) -> tuple[MailServer, list[Record]]:
    """Boot a server with a policy that names it; the server and the records of its zone."""
    server = MailServer.up(lab, domain)
    policy = f"version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: 86400\n"
    serve_policy(lab, server.machine, domain, policy)
    address = server.machine.address
    records: list[Record] = [
        ("@", "MX", f"10 mx.{domain}."),
        ("mx", "A", address),
        ("mta-sts", "A", address),
        ("_mta-sts", "TXT", "v=STSv1; id=1"),
    ]
    lab.dns.publish(domain, records)
    return server, records


def enforced(domain: str) -> str:
    """Return what Postfix is to be told."""
    return f"secure match=mx.{domain} servername=hostname"


def test_mta_sts_keeps_mail_from_the_host_of_whoever_changed_the_mx(
    lab: Lab, alice: Person, sender: Relay, thief: MailServer
) -> None:
    """DNS can be forged, and the forger's host has a good certificate for its own name."""
    domain = "policed.test"
    stranger, _ = policed(lab, domain)
    assert level(sender, domain) == enforced(domain)
    stranger.wait_for(send(alice, f"someone@{domain}"))

    # The connection to the honest host is kept for half a minute; no longer than that host.
    stranger.machine.run(["systemctl", "restart", "postfix"])
    # The forger also hides the record: the policy fetched before still holds.
    lab.dns.publish(domain, [("@", "MX", f"10 mx.{thief.domain}.")])
    recipient = f"other@{domain}"
    send(alice, recipient)

    assert "Server certificate not verified" in deferred(sender, recipient)
    assert thief.received() == []
    empty_queue(sender)


def test_a_policy_outlasts_a_restart_while_its_host_is_blocked(
    lab: Lab, alice: Person, sender: Relay, thief: MailServer
) -> None:
    """After a restart the policy was fetched anew: whoever blocked the fetch had lifted it."""
    domain = "restarted.test"
    stranger, records = policed(lab, domain)
    assert level(sender, domain) == enforced(domain)

    stranger.machine.run(["systemctl", "stop", "nginx"])
    # One kill leaves no time to write anything at the end.
    for command in (["systemctl", "restart"], ["systemctl", "kill", "--signal=KILL"]):
        sender.machine.run([*command, "chatmail-tls.service"])
        assert level(sender, domain) == enforced(domain)
    lab.dns.publish(domain, [("@", "MX", f"10 mx.{thief.domain}."), *records[1:]])
    recipient = f"someone@{domain}"
    send(alice, recipient)

    assert "Server certificate not verified" in deferred(sender, recipient)
    assert thief.received() == []
    empty_queue(sender)


def test_a_damaged_file_of_policies_stops_nothing(lab: Lab, sender: Relay) -> None:
    """It is begun anew, with a line in the journal."""
    domain = "damaged.test"
    policed(lab, domain)
    cursor = sender.machine.cursor()
    file = sender.value.daemons["paths"]["stsPolicies"]
    sender.machine.run(["systemctl", "stop", "chatmail-tls.service"])
    sender.machine.write(file, "no database at all\n" * 500)
    sender.machine.run(["chown", "chatmail-tls:", file])

    assert level(sender, domain) == enforced(domain)
    assert "starting without any" in sender.machine.journal("chatmail-tls", after=cursor)
    assert sender.machine.run(["head", "-c", "15", file]).out == "SQLite format 3"
