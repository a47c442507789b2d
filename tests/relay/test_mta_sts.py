"""MTA-STS (RFC 8461): a fetched policy remains valid, whatever DNS or HTTPS say later."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from harness.archive import File
from harness.network import address4
from harness.stranger import MailServer
from people.outgoing import ASK, deferred, empty_queue, level, send
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
    """A relay with a publicly trusted certificate."""
    return lab.relay("sender.test")


@pytest.fixture
def alice(sender: Relay) -> Person:
    """A user who sends mail."""
    return Person.on(sender)


def serve_policy(lab: Lab, machine: Machine, domain: str, policy: str) -> None:
    """Let a machine serve an MTA-STS policy, as any web server would."""
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
    """A server with a valid certificate for its own name, which must not get any mail."""
    return MailServer.up(lab, "thief.test")


def policed(lab: Lab, domain: str, *more: str) -> tuple[MailServer, list[Record]]:
    """Boot a server with a policy that names it; return the server and the records of its zone."""
    server = MailServer.up(lab, domain)
    lines = ["version: STSv1", "mode: enforce", f"mx: mx.{domain}", *more, "max_age: 86400"]
    policy = "".join(f"{line}\n" for line in lines)
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
    """Return the level that Postfix must get."""
    return f"secure match=mx.{domain} servername=hostname"


def test_mta_sts_protects_against_a_forged_mx(
    lab: Lab, alice: Person, sender: Relay, thief: MailServer
) -> None:
    """An attacker who forges DNS has a valid certificate for the own host."""
    domain = "policed.test"
    stranger, _ = policed(lab, domain)
    assert level(sender, domain) == enforced(domain)
    stranger.wait_for(send(alice, f"someone@{domain}"))

    # Postfix keeps the connection to the honest host for half a minute.
    stranger.machine.run(["systemctl", "restart", "postfix"])
    # The attacker also hides the record, but the policy fetched before remains valid.
    lab.dns.publish(domain, [("@", "MX", f"10 mx.{thief.domain}.")])
    recipient = f"other@{domain}"
    send(alice, recipient)

    assert "Server certificate not verified" in deferred(sender, recipient)
    assert thief.received() == []
    empty_queue(sender)


def test_a_policy_survives_a_restart_while_its_host_is_blocked(
    lab: Lab, alice: Person, sender: Relay, thief: MailServer
) -> None:
    """Policies were fetched again after a restart, so blocking the fetch disabled them."""
    domain = "restarted.test"
    stranger, records = policed(lab, domain)
    assert level(sender, domain) == enforced(domain)

    stranger.machine.run(["systemctl", "stop", "nginx"])
    # A kill leaves no time to write anything at the end.
    for command in (["systemctl", "restart"], ["systemctl", "kill", "--signal=KILL"]):
        sender.machine.run([*command, "chatmail-tls.service"])
        assert level(sender, domain) == enforced(domain)
    lab.dns.publish(domain, [("@", "MX", f"10 mx.{thief.domain}."), *records[1:]])
    recipient = f"someone@{domain}"
    send(alice, recipient)

    assert "Server certificate not verified" in deferred(sender, recipient)
    assert thief.received() == []
    empty_queue(sender)


def test_a_damaged_policy_file_is_recreated(lab: Lab, sender: Relay) -> None:
    """The journal has one line about it."""
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


def test_an_ip_address_in_a_policy_is_ignored_and_the_rest_holds(
    lab: Lab, alice: Person, sender: Relay
) -> None:
    """Postfix took it for a name, and mail to a server with a good certificate waited."""
    domain = "shop.test"
    hosts = (f"mx: *.{domain}", "mx: 192.0.2.56", "mx: [2001:db8::56]")
    server, _ = policed(lab, domain, *hosts)

    assert level(sender, domain) == f"secure match=mx.{domain}:.{domain} servername=hostname"
    server.wait_for(send(alice, f"someone@{domain}"))


def test_silent_policy_hosts_hold_up_nobody_elses_mail(lab: Lab, sender: Relay) -> None:
    """150 of them took all places, and mail to a domain without a kept policy waited for 15 s."""
    domain = "fresh.test"
    policed(lab, domain)
    address = address4(114)
    names = [f"n{number}" for number in range(150)]
    lab.dns.publish(
        "mute.test",
        [
            record
            for name in names
            for record in (
                (f"_mta-sts.{name}", "TXT", "v=STSv1; id=1"),
                (f"mta-sts.{name}", "A", address),
            )
        ],
    )
    ask_all = f"for name in {' '.join(names)}; do postmap -q $name.mute.test {ASK} & done"
    count = "pgrep --count --exact postmap"
    with socket.create_server((address, 443), backlog=200) as listener, ExitStack() as held:
        listener.settimeout(30)
        start = ["systemd-run", "--unit=asking", "--property=Type=oneshot", "--no-block"]
        sender.machine.run([*start, "--property=KillMode=process", "sh", "-c", ask_all])
        taken = [held.enter_context(listener.accept()[0]) for _ in range(4)]
        sender.machine.wait_until("! systemctl is-active --quiet asking.service")
        # Those that get no place go without a policy and hold up nothing.
        sender.machine.wait_until(f'test "$({count})" -le 4', timeout=9)

        assert level(sender, domain) == enforced(domain)
        assert any(still_open(connection) for connection in taken)


def still_open(connection: socket.socket) -> bool:
    """Whether the other side goes on waiting for an answer to what it has sent."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return True
    return False
