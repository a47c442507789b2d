"""Tests of a relay without a domain, whose `domain` is an IPv4 address."""

from __future__ import annotations

import re

import pytest

from data.relay_value import Value, evaluate, problems

ADDRESS = "192.0.2.60"
BRACKETS = f"[{ADDRESS}]"


@pytest.fixture(scope="module")
def here() -> Value:
    """The value of such a relay."""
    value: Value = evaluate({"domain": ADDRESS})
    return value


@pytest.mark.parametrize("address", [ADDRESS, "10.0.0.1", "192.168.1.2", "172.16.0.1", "1.2.3.4"])
def test_an_ip_address_is_the_only_required_setting(address: str) -> None:
    """A private address works too, in a home network."""
    assert problems({"domain": address}) == []


@pytest.mark.parametrize(
    ("domain", "sentence"),
    [
        ("[192.0.2.1]", "; write the address without brackets"),
        ("2001:db8::1", "; a relay cannot have an IPv6 address as its name"),
        ("[2001:db8::1]", "; a relay cannot have an IPv6 address as its name"),
        ("0.0.0.0", "; that address is not reachable"),
        ("127.0.0.1", "; that address is not reachable"),
        ("127.8.8.8", "; that address is not reachable"),
        ("224.0.0.1", "; that address is not reachable"),
        ("239.1.1.1", "; that address is not reachable"),
        ("255.255.255.255", "; that address is not reachable"),
        ("192.0.2.256", 'or an IPv4 address such as "192.0.2.1"'),
        ("192.0.2.01", 'or an IPv4 address such as "192.0.2.1"'),
        ("192.0.2.1\n", 'or an IPv4 address such as "192.0.2.1"'),
    ],
)
def test_refuses_an_unusable_ip_address(domain: str, sentence: str) -> None:
    """The message says what to write."""
    (found,) = problems({"domain": domain})

    assert f"`domain` is {_quoted(domain)}, but must be a domain name" in found
    assert found.endswith(sentence)


def _quoted(domain: str) -> str:
    text = domain.replace("\n", "\\n")
    return f'"{text}"'


@pytest.mark.parametrize("source", ["acme", "files"])
def test_refuses_a_certificate_that_no_client_verifies(source: str) -> None:
    """The login link tells clients to accept any, and authorities issue none that last."""
    certificate = {"source": source}
    if source == "files":
        certificate |= {"file": "/srv/c.pem", "keyFile": "/srv/k.pem"}
    (found,) = problems({"domain": ADDRESS, "certificate": certificate})

    assert found.endswith('set `certificate.source = "self-signed"`, or remove the setting')


def test_refuses_a_second_address() -> None:
    """The domain is the relay's address, also for calls."""
    (found,) = problems({"domain": ADDRESS, "addresses": {"ipv4": "198.51.100.1"}})

    assert "`addresses.ipv4` (198.51.100.1) differs from `domain`" in found


def test_uses_a_self_signed_certificate(here: Value) -> None:
    """No setting is needed for this."""
    assert here["settings"]["certificate"]["source"] == "self-signed"
    assert "chatmail-certificate.service" in here["rendered"]["enable"]


def test_calls_go_to_the_address_behind_nat() -> None:
    """`domain` is the public address, and need not be repeated."""
    files = evaluate(
        {"domain": ADDRESS, "turn": {"privateAddress": "192.168.1.2"}}, pick=".rendered.files"
    )

    lines = files["/etc/chatmail/turnserver.conf"]["text"].splitlines()
    assert f"external-ip={ADDRESS}/192.168.1.2" in lines


def test_daemons_know_host_and_mail_domain(here: Value) -> None:
    """Clients connect to the host; addresses contain the mail domain."""
    assert here["chatmaild"]["host"] == ADDRESS
    assert here["chatmaild"]["domain"] == BRACKETS
    assert here["chatmaild"]["metadata"]["turn"]["host"] == ADDRESS


def test_there_are_no_dns_records(here: Value) -> None:
    """There is no zone to put them in."""
    assert here["dns"]["records"] == []


def test_only_the_address_in_brackets_is_local(here: Value) -> None:
    """Postfix accepts brackets only for a local destination; the host's other addresses are not."""
    main = here["postfix"]["main"]

    assert main["mydestination"] == [BRACKETS]
    assert main["local_transport"] == "lmtp:unix:/run/dovecot/postfix-lmtp"
    assert main["virtual_mailbox_domains"] == []
    assert main["relay_domains"] == main["mynetworks"] == []
    assert main["local_recipient_maps"] == "regexp:/etc/chatmail/sender-login.regexp"
    assert main["myorigin"] == main["smtp_helo_name"] == BRACKETS
    assert main["smtpd_banner"] == f"{BRACKETS} ESMTP"
    assert main["myhostname"] == "60.2.0.192.in-addr.arpa"


def test_mail_is_sent_from_the_ip_address(here: Value) -> None:
    """Others compare it with the one in brackets; behind NAT only the router has it."""
    assert here["postfix"]["main"]["inet_protocols"] == "ipv4"
    assert here["postfix"]["main"]["smtp_bind_address"] == ADDRESS

    nat = {"domain": ADDRESS, "turn": {"privateAddress": "192.168.1.2"}}
    assert evaluate(nat, pick=".postfix.main.smtp_bind_address") == "192.168.1.2"


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        (f"someone@{BRACKETS}", True),
        ("someone@[192.0.2.61]", False),
        ("someone@[192a0b2c60]", False),
        ("someone@192.0.2.60", False),
        (f"someone@{BRACKETS}.example", False),
        ("someone@[127.0.0.1]", False),
    ],
)
def test_local_senders_have_brackets(here: Value, address: str, ours: bool) -> None:
    """Brackets and dots in the pattern are escaped."""
    files = here["rendered"]["files"]
    for name in ("sender-login", "sender-login-needed"):
        pattern = files[f"/etc/chatmail/{name}.regexp"]["text"].split("/")[1]

        assert bool(re.search(pattern, address)) is ours


def test_nginx_answers_only_for_the_ip_address(here: Value) -> None:
    """An IP address has no subdomains, and no policy that could be verified."""
    text = here["rendered"]["files"]["/etc/nginx/nginx.conf"]["text"]

    assert set(re.findall(r"server_name (.*);", text)) == {ADDRESS}
    assert "mta-sts" not in text
    assert "/etc/chatmail/www/mta-sts.txt" not in here["rendered"]["files"]


def test_autoconfig_contains_the_ip_address(here: Value) -> None:
    """A host name in brackets would be invalid."""
    text = here["rendered"]["files"]["/etc/chatmail/www/config-v1.1.xml"]["text"]

    assert set(re.findall("<hostname>(.*)</hostname>", text)) == {ADDRESS}
    assert f"<domain>{BRACKETS}</domain>" in text


def test_other_relays_allow_no_brackets_in_names() -> None:
    """They do not need them."""
    other = evaluate({"domain": "chat.example.org"}, pick=".dovecot")

    assert "auth_username_chars" not in other
