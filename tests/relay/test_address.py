"""A relay without a domain, at an IP address: its users, its operator, its clients."""

from __future__ import annotations

import json
import smtplib
import ssl
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from harness.deltachat import Core, address_of, await_message
from harness.process import wait_until
from people import mailboxes, messages
from people.accounts import delete, new_address
from people.dialogue import Dialogue, insecure
from people.people import Person, exists, imap_login, smtp_login
from people.strangers import port_25
from people.website import shown_invite

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)

HERE, ELSEWHERE = "192.0.2.60", "192.0.2.61"


@pytest.fixture(scope="module")
def here(lab: Lab) -> Relay:
    """A relay whose `domain` is an address."""
    return lab.relay(HERE)


@pytest.fixture
def alice(here: Relay) -> Person:
    """A user whose address contains an IP address in brackets."""
    return Person.on(here)


def test_the_login_link_is_all_a_client_needs(core: Core, here: Relay) -> None:
    """It names the servers and accepts the certificate; a client could find out neither."""
    printed = here.chatmail("invite").out.splitlines()[0]
    status, answer = new_address(here)
    assert status == 200
    for link in (printed, answer["dclogin_url"]):
        account = core.deltachat.add_account()
        account.add_transport_from_qr(link)
        account.bring_online()
        address = address_of(account)

        assert f"@{here.mail_domain}?" in link
        assert address.endswith(f"@[{HERE}]")
        assert exists(here, address)


@pytest.mark.parametrize("domain", [HERE, f"[{ELSEWHERE}]", "[127.0.0.1]", f"[ipv4:{HERE}]"])
def test_accounts_have_the_relays_own_ip_address(here: Relay, domain: str) -> None:
    """Names at other IP addresses are refused."""
    name, password = here.credentials()[0].partition("@")[0], "a long enough password"

    assert imap_login(here, f"{name}@{domain}", password) != ""
    assert smtp_login(here, f"{name}@{domain}", password).startswith("535 ")
    assert imap_login(here, f"{name}@[{HERE}]", password) == ""


def test_all_client_ports_accept_an_address_in_brackets(here: Relay, alice: Person) -> None:
    """These are 465, 587, and 443 by ALPN, where a client at an IP address sends no host name."""
    for port in (465, 587, 443):
        alice.submission(port).close()
    with Dialogue.connect(here.address, 443, insecure("imap")) as imap:
        imap.line()
        assert imap.answer(f"LOGIN {alice.address} {alice.password}")[-1].startswith("a OK ")


def test_users_can_send_only_as_themselves(alice: Person, here: Relay) -> None:
    """Brackets in an address are characters, not a pattern."""
    others = [Person.on(here).address, alice.address.replace(HERE, ELSEWHERE), f"x@[{HERE}]"]
    for other in others:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            alice.send(messages.encrypted(other, alice.address), alice.address, sender=other)
        assert refused.value.recipients[alice.address][0] == 553


def test_the_certificate_is_for_the_address(here: Relay) -> None:
    """The certificate names the IP address, so a client can verify it (RFC 5280 4.2.1.6)."""
    pem = ssl.get_server_certificate((here.address, 993))
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )

    assert names.value.get_values_for_type(x509.IPAddress) == [IPv4Address(HERE)]
    assert not names.value.get_values_for_type(x509.DNSName)


def test_status_is_fine_without_dns(here: Relay) -> None:
    """Neither a missing zone nor a missing key is an error."""
    for options in ([], ["--check"]):
        said = here.chatmail("dns", *options).out
        assert said == f"; {HERE} is an IP address: this relay needs no DNS records\n"
    checks = json.loads(here.chatmail("status", "--json").out)["checks"]
    assert [check for check in checks if check["state"] != "ok"] == []


def test_names_cannot_be_probed(here: Relay, alice: Person) -> None:
    """Existing and unknown addresses get the same answer."""
    with port_25(here) as session:
        known = session.vrfy(alice.address)
        unknown = session.vrfy(here.credentials()[0])
    assert known[0] == unknown[0] == 252


def test_other_addresses_of_the_host_accept_no_mail(here: Relay, alice: Person) -> None:
    """Postfix considers them its own, and would send a bounce for each message."""
    loopback = "someone@[127.0.0.1]"
    with port_25(here) as session:
        session.ehlo()
        session.mail("")
        assert session.rcpt(loopback)[0] == 550
        for foreign in ("someone@[IPv6:::1]", f"someone@[IPv6:{here.address6}]"):
            assert session.rcpt(foreign)[0] == 554, foreign
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        alice.send(messages.encrypted(alice.address, loopback), loopback)
    assert refused.value.recipients[loopback][0] == 550


def test_expiry_works_for_mailboxes_in_brackets(here: Relay, alice: Person) -> None:
    """Old mail is deleted at night, and all of it with its account."""
    mailboxes.awake(here)
    text = messages.encrypted_of_size(alice.address, alice.address, 5_000)
    mailboxes.plant(here, alice.address, text, 20.5)
    kept = mailboxes.plant(here, alice.address, text, 19.5)

    mailboxes.expire(here)

    assert mailboxes.files(here, alice.address) == {kept}
    assert alice.address in here.chatmail("accounts", "list").out
    assert delete(here, alice.address, alice.password) == (200, {"deleted": alice.address})
    assert "AUTHENTICATIONFAILED" in imap_login(here, alice.address, alice.password)
    assert not exists(here, alice.address)


def test_the_echo_bot_works_without_a_domain(lab: Lab, core: Core) -> None:
    """Its invite keeps the brackets on the way through the website to a client."""
    relay = lab.relay("192.0.2.63", {"echo": {"enable": True}})
    invite = wait_until(lambda: shown_invite(relay), "the bot's invite", timeout=60)
    alice = core.account(relay, "Alice")
    chat = alice.secure_join(invite)
    alice.wait_for_securejoin_joiner_success()
    chat.send_text("Is anybody there?")

    assert await_message(alice, "Is anybody there?").get_snapshot().is_bot


def test_a_blocked_account_stays_out(here: Relay, alice: Person) -> None:
    """The operator writes the address as users do."""
    here.chatmail("accounts", "block", alice.address)

    assert "AUTHENTICATIONFAILED" in imap_login(here, alice.address, alice.password)
    here.chatmail("accounts", "unblock", alice.address)
    assert imap_login(here, alice.address, alice.password) == ""
