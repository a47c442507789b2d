"""HTTP: new addresses by invite, autoconfiguration, and the website."""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from people import messages
from people.dialogue import Dialogue
from people.https import ask
from people.people import Person, exists, imap_login

if TYPE_CHECKING:
    from harness.relay import Relay

NEW = ("/new", "/cgi-bin/newemail.py")


@pytest.mark.parametrize("path", NEW)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_new_address_works(relay: Relay, method: str, path: str) -> None:
    """Clients log in with it (the page of a self-signed relay uses GET)."""
    response, content = ask(relay, method, path)
    answer = json.loads(content)

    accounts = relay.value.daemons["accounts"]
    assert response.status == 200
    assert response.getheader("Content-Type", "").startswith("application/json")
    name, _, domain = answer["email"].partition("@")
    assert domain == relay.domain
    assert re.fullmatch(rf"[a-z0-9]{{{accounts['nameMaxLength']}}}", name)
    assert len(answer["password"]) == accounts["passwordMinLength"] + 3
    assert not exists(relay, answer["email"])
    assert imap_login(relay, answer["email"], answer["password"]) == ""


def test_new_addresses_can_write_to_each_other(relay: Relay) -> None:
    """The test goes from an invite to a message, as a client does."""
    one, other = (
        Person(relay, answer["email"], answer["password"])
        for answer in (json.loads(ask(relay, "POST", "/new", b"")[1]) for _ in range(2))
    )
    assert imap_login(relay, other.address, other.password) == ""
    message = messages.encrypted(one.address, other.address)
    one.send(message, other.address)

    other.wait_for(message)


def test_a_self_signed_relay_hands_out_a_login_link(relay: Relay) -> None:
    """Clients accept its certificate only if the link says so (ic=3)."""
    answer = json.loads(ask(relay, "POST", "/new")[1])

    link = answer["dclogin_url"]
    assert link.startswith(f"dclogin:{answer['email']}?p=")
    assert f"p={answer['password']}&v=1" in link
    assert link.endswith("&ic=3")


def test_a_public_relay_redirects_browsers_to_the_client(public_relay: Relay) -> None:
    """An invite opened in a browser can only be used by the client."""
    for path in NEW:
        response, _ = ask(public_relay, "GET", path)

        assert response.status == 301
        assert response.getheader("Location") == f"dcaccount:https://{public_relay.domain}/new"


def test_a_public_relay_hands_out_no_login_link(public_relay: Relay) -> None:
    """Clients must verify its certificate."""
    response, content = ask(public_relay, "POST", "/new")

    assert response.status == 200
    assert set(json.loads(content)) == {"email", "password"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_refuses_other_methods(relay: Relay, method: str) -> None:
    """A name can only be requested."""
    response, _ = ask(relay, method, "/new")

    assert response.status == 405
    assert "POST" in response.getheader("Allow", "")


def test_refuses_a_large_request(relay: Relay) -> None:
    """The contract has no body; a small one is ignored, and a large one would only cost memory."""
    assert ask(relay, "POST", "/new", b"x" * 500)[0].status == 200
    assert ask(relay, "POST", "/new", b"x" * 100_000)[0].status == 413


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/new/",
        "/new/../etc/passwd",
        "/.git/config",
        "/cgi-bin/",
        "/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_other_paths_do_not_exist(relay: Relay, path: str) -> None:
    """Scanners for other programs find nothing."""
    assert ask(relay, "GET", path)[0].status in (400, 404)


def test_says_why_there_are_no_new_addresses(relay: Relay) -> None:
    """Clients show `reason` to the user who scanned the invite."""
    path = relay.value.daemons["paths"]["nocreate"]
    relay.machine.write(path, "")
    try:
        response, content = ask(relay, "POST", "/new")
    finally:
        relay.machine.run(["rm", path])

    assert response.status == 403
    assert json.loads(content)["reason"].endswith(".")
    assert ask(relay, "POST", "/new")[0].status == 200


def test_clients_configure_themselves_from_autoconfig(relay: Relay) -> None:
    """Core reads hosts, ports and TLS modes, best first, before it guesses."""
    response, content = ask(relay, "GET", "/.well-known/autoconfig/mail/config-v1.1.xml")
    provider = ET.fromstring(content).find("emailProvider")  # noqa: S314
    assert provider is not None
    servers = [
        (server.tag, *(server.findtext(part) for part in ("hostname", "port", "socketType")))
        for kind in ("incomingServer", "outgoingServer")
        for server in provider.findall(kind)
    ]

    assert response.status == 200
    assert "xml" in response.getheader("Content-Type", "")
    assert provider.get("id") == relay.domain
    assert provider.findtext("domain") == relay.domain
    assert provider.findtext("displayName") == f"{relay.domain} chatmail"
    assert servers == [
        ("incomingServer", relay.domain, "993", "SSL"),
        ("incomingServer", relay.domain, "143", "STARTTLS"),
        ("incomingServer", relay.domain, "443", "SSL"),
        ("outgoingServer", relay.domain, "465", "SSL"),
        ("outgoingServer", relay.domain, "587", "STARTTLS"),
        ("outgoingServer", relay.domain, "443", "SSL"),
    ]
    for server in (*provider.findall("incomingServer"), *provider.findall("outgoingServer")):
        assert server.findtext("username") == "%EMAILADDRESS%"
        assert server.findtext("authentication") == "password-cleartext"


@pytest.mark.parametrize("host", ["two.test", "mta-sts.two.test"])
def test_other_servers_find_the_mta_sts_policy(public_relay: Relay, host: str) -> None:
    """Its host name must be in the certificate (RFC 8461)."""
    verifying = ssl.create_default_context(cafile=os.environ["LAB_CA"])
    response, content = ask(
        public_relay, "GET", "/.well-known/mta-sts.txt", host=host, tls=verifying
    )

    assert response.status == 200
    assert response.getheader("Content-Type", "").startswith("text/plain")
    assert content.decode().splitlines() == [
        "version: STSv1",
        "mode: enforce",
        "mx: two.test",
        "max_age: 2419200",
    ]


def test_every_port_shows_the_same_verifiable_certificate(public_relay: Relay) -> None:
    """Clients of a public relay verify it on every port."""
    verifying = ssl.create_default_context(cafile=os.environ["LAB_CA"])
    for port, alpn in ((443, None), (443, "imap"), (443, "smtp"), (465, None), (993, None)):
        verifying.set_alpn_protocols([alpn] if alpn else [])
        Dialogue.connect(public_relay.domain, port, verifying, name=public_relay.domain).close()


@pytest.mark.parametrize("path", ["/", "/new", "/anything?with=query"])
def test_plain_http_redirects_to_https(relay: Relay, path: str) -> None:
    """No content is sent unencrypted, and links typed by hand still work."""
    connection = http.client.HTTPConnection(relay.domain, timeout=15)
    connection.request("GET", path)
    response = connection.getresponse()

    assert response.status == 301
    assert response.getheader("Location") == f"https://{relay.domain}{path}"


def test_www_redirects_to_the_domain(relay: Relay) -> None:
    """There is one website with one name."""
    response, _ = ask(relay, "GET", "/", host=f"www.{relay.domain}")

    assert response.status == 301
    assert response.getheader("Location") == f"https://{relay.domain}/"


@pytest.mark.parametrize("path", ["/", "/index.html"])
def test_the_page_has_an_invite(relay: Relay, path: str) -> None:
    """Visitors with a phone get an address with one tap."""
    response, content = ask(relay, "GET", path)

    assert response.status == 200
    assert response.getheader("Content-Type", "").startswith("text/html")
    assert f"DCACCOUNT:https://{relay.domain}/new".encode() in content


def test_responses_contain_no_version(relay: Relay) -> None:
    """They would help attackers who look for a known vulnerability."""
    for path in ("/", "/new", "/nothing"):
        response, content = ask(relay, "GET", path)

        assert not re.search(r"\d", response.getheader("Server", ""))
        assert not re.search(rb"nginx/|Python/|aiohttp/", content)
