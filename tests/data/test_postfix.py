"""Tests of Postfix' configuration: who may send what through which port."""

from __future__ import annotations

import re

import pytest

from data.relay_value import Value

# Submissions from which nginx has already removed TLS.
UNWRAPPED = "127.0.0.1:10025"
FOR_USERS = ("127.0.0.1:20587", "127.0.0.1:20465")
FOR_SERVERS = ("smtp_inet", UNWRAPPED)
PORTS = (*FOR_SERVERS, *FOR_USERS)


def options(value: Value, service: str) -> dict[str, str]:
    """Return the `-o name=value` options of a master.cf service."""
    args = value["postfix"]["master"][service]["args"]
    pairs = [re.fullmatch(r"\{ (\w+) = (.*) \}", word) for word in args[1::2]]
    assert set(args[0::2]) == {"-o"}
    return {pair[1]: pair[2] for pair in pairs if pair}


def effective(value: Value, service: str, parameter: str) -> object:
    """Return the value that applies to a service: its own option, or that of main.cf."""
    return options(value, service).get(parameter, value["postfix"]["main"].get(parameter))


def test_there_are_no_other_smtp_listeners(value: Value) -> None:
    """The tests below cover all of them."""
    found = [k for k, s in value["postfix"]["master"].items() if s["command"] == "smtpd"]

    assert sorted(found) == sorted(PORTS)


@pytest.mark.parametrize("service", [port for port in PORTS if port != UNWRAPPED])
def test_no_listener_accepts_mail_without_tls(value: Value, service: str) -> None:
    """Level `encrypt` refuses mail before STARTTLS with 530."""
    assert effective(value, service, "smtpd_tls_security_level") == "encrypt"
    assert effective(value, service, "smtpd_tls_auth_only") is True


def test_mail_over_https_has_the_checks_of_port_25(value: Value) -> None:
    """Only chatmail-web may set the peer's address."""
    wanted = options(value, "smtp_inet") | {
        "syslog_name": "postfix/mxdeliv",
        "smtpd_upstream_proxy_protocol": "haproxy",
        "smtpd_tls_security_level": "none",
        "smtpd_helo_restrictions": (
            "check_helo_access texthash:/var/lib/chatmail-web/helo, reject"
        ),
    }
    assert options(value, UNWRAPPED) == wanted


@pytest.mark.parametrize("service", PORTS)
def test_no_listener_bypasses_the_filter(value: Value, service: str) -> None:
    """When the filter is down, mail is delayed, but never passes."""
    assert effective(value, service, "smtpd_milters") == "unix:/run/chatmail-filter/filter.sock"
    assert effective(value, service, "milter_default_action") in ("shutdown", "tempfail")


def test_nothing_is_relayed_for_strangers(value: Value) -> None:
    """No network is trusted, only our domain is a destination, and port 25 checks both."""
    main = value["postfix"]["main"]

    assert main["mynetworks"] == main["relay_domains"] == main["mydestination"] == []
    assert main["virtual_mailbox_domains"] == ["chat.example.org"]
    assert effective(value, "smtp_inet", "smtpd_relay_restrictions") == "reject_unauth_destination"
    assert effective(value, "smtp_inet", "smtpd_sasl_auth_enable") is None


@pytest.mark.parametrize("service", FOR_USERS)
def test_users_send_only_after_login_and_only_as_themselves(value: Value, service: str) -> None:
    """Submission requires a login, and the sender must be the user's own address."""
    for restriction in ("smtpd_client_restrictions", "smtpd_relay_restrictions"):
        assert effective(value, service, restriction) == "permit_sasl_authenticated, reject"
    assert effective(value, service, "smtpd_sender_restrictions") == "reject_sender_login_mismatch"


def test_the_submission_services_differ_only_in_how_tls_begins(value: Value) -> None:
    """Everything else is defined once."""
    starttls, wrapped = (options(value, service) for service in FOR_USERS)

    assert wrapped == starttls | {"smtpd_tls_wrappermode": "yes"}


@pytest.mark.parametrize("service", FOR_USERS)
def test_postfix_does_not_know_the_clients_addresses(value: Value, service: str) -> None:
    """It would write them into the queue; and it must not count all clients as one."""
    assert effective(value, service, "smtpd_upstream_proxy_protocol") is None
    assert effective(value, service, "smtpd_client_connection_count_limit") == "0"
    # After a failure, Dovecot delays all clients with the same address.
    assert value["dovecot"]["auth_failure_delay"] == 0


@pytest.mark.parametrize("service", FOR_USERS)
def test_clients_speak_tls_1_3_and_leave_no_trace_in_received(value: Value, service: str) -> None:
    """Clients are current; servers on port 25 may be old."""
    assert effective(value, service, "smtpd_tls_mandatory_protocols") == ">=TLSv1.3"
    assert effective(value, service, "smtpd_hide_client_session") == "yes"
    assert effective(value, "smtp_inet", "smtpd_tls_mandatory_protocols") == ">=TLSv1.2"


def test_outgoing_tls_is_verified(value: Value) -> None:
    """Only relays whose name indicates a self-signed certificate are exempt."""
    assert value["postfix"]["main"]["smtp_tls_security_level"] == "verify"
    policy = value["files"]["/etc/chatmail/tls-policy.regexp"]["text"].split("\n")
    assert policy == ["/^_/ encrypt", "/^\\[/ encrypt", ""]


def test_the_login_map_knows_our_domain_and_no_other(value: Value) -> None:
    """Postfix folds to lower case; the dots of the domain must not match other characters."""
    line = value["files"]["/etc/chatmail/sender-login.regexp"]["text"].strip()
    pattern = re.compile(line.split(" ")[0].strip("/"))

    assert pattern.fullmatch("somebody1@chat.example.org")
    assert not pattern.search("somebody1@chatxexample.org")
    assert not pattern.search("somebody1@chat.example.org.evil.test")


def test_strangers_cannot_use_our_addresses(value: Value) -> None:
    """Postfix silently skips its own check of sender and login on ports without login."""
    wanted = "check_sender_access regexp:/etc/chatmail/sender-login-needed.regexp"
    assert effective(value, "smtp_inet", "smtpd_sender_restrictions") == wanted

    line = value["files"]["/etc/chatmail/sender-login-needed.regexp"]["text"].strip()
    pattern, _, action = line.partition(" ")
    assert re.search(pattern.strip("/"), "somebody1@chat.example.org")
    assert not re.search(pattern.strip("/"), "somebody1@chatxexample.org")
    assert action.startswith("553 ")


@pytest.mark.parametrize("service", PORTS)
def test_the_message_size_is_that_of_the_settings(value: Value, service: str) -> None:
    """EHLO announces it, the filter enforces it, and queue files may be larger by what is added."""
    assert effective(value, service, "message_size_limit") == "31457280"
    assert value["chatmaild"]["message"]["maxSize"] == 31457280
    assert value["postfix"]["main"]["message_size_limit"] > 31457280


def test_one_household_is_one_client(value: Value) -> None:
    """A household has an IPv6 /64; with limits per address, it could use all connections."""
    assert value["postfix"]["main"]["smtpd_client_ipv6_prefix_length"] == 64


def test_anvil_has_no_log(value: Value) -> None:
    """When it exits it logs the busiest client, to a syslog service that does not exist."""
    said = options(value, "anvil")

    assert said["maillog_file"] == "/dev/stdout"
    assert said["postlog_service_name"] not in value["postfix"]["master"]
