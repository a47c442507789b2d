"""Calls and realtime channels: TURN with credentials from METADATA, iroh-relay, app versions."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aioice import stun

from harness import deltachat
from harness.network import address4
from people.people import Person
from people.turn_client import Mailbox, Offer, allocation, metadata

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(120)

HOUR = 3600
FORBIDDEN_PEERS = [
    "127.0.0.1",
    "0.0.0.1",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
]
FORBIDDEN_PEERS_6 = [
    "::ffff:0:7f00:1",
    "0:0:0:1::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "::1",
    "::ffff:10.0.0.1",
    "::10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
    "fd00::1",
    "fe80::1",
    "ff02::1",
]


@pytest.fixture
def offer(relay: Relay) -> Offer:
    """Credentials of a new account, because allocations that ended count for a while."""
    return Offer.of(Person.on(relay))


def server_of(relay: Relay, *, ipv6: bool = False) -> tuple[str, int]:
    """Return the address of the TURN server."""
    return (relay.address6 if ipv6 else relay.address), relay.value.daemons["metadata"]["turn"][
        "port"
    ]


def refusal(attempt: Callable[[], Awaitable[object]]) -> int:
    """Run an attempt that must be refused; return the STUN error code (RFC 8489 14.8)."""
    with pytest.raises(stun.TransactionFailed) as caught:
        asyncio.run(_awaited(attempt))
    return int(caught.value.response.error_code or 0)


async def _awaited(attempt: Callable[[], Awaitable[object]]) -> object:
    return await attempt()


def test_the_credentials_have_the_expected_form(relay: Relay, offer: Offer) -> None:
    """They contain the server's name and port and the time of expiry, but no user name."""
    assert offer.host == relay.domain
    assert offer.port == 3478
    left = int(offer.username) - time.time()
    assert 12 * HOUR < left <= 37 * HOUR
    assert len(base64.b64decode(offer.password, validate=True)) == 20


def test_core_accepts_the_credentials(relay: Relay, tmp_path: Path) -> None:
    """Core makes the calls; it passes the relay's server and credentials to WebRTC."""
    with deltachat.core(tmp_path) as core:
        account = core.account(relay)
        servers = account.ice_servers()

    named = [one for one in servers if one.get("credential")]
    assert named, servers
    urls = [url for one in named for url in one["urls"]]
    assert any(relay.address in url and "3478" in url for url in urls), servers
    assert int(named[0]["username"]) > time.time() + 12 * HOUR


@pytest.mark.parametrize("ipv6", [False, True])
def test_relays_between_clients_behind_firewalls(relay: Relay, offer: Offer, *, ipv6: bool) -> None:
    """Each client knows only the other's relayed address."""

    async def call() -> None:
        server = server_of(relay, ipv6=ipv6)
        async with (
            allocation(server, offer.username, offer.password) as one,
            allocation(server, offer.username, offer.password) as other,
        ):
            turn = relay.settings.get("turn", {})
            for each in (one, other):
                address, port = each.address[:2]
                assert address == server[0]
                assert turn.get("minPort", 49152) <= port <= turn.get("maxPort", 50151)
            # Set a permission on each side, then send both ways.
            await one.send(b"hello?", other.address)
            await other.send(b"hello!", one.address)
            assert (await one.inbox.next())[0] == b"hello!"
            await one.send(b"how are you?", other.address)
            assert (await other.inbox.next())[0] in (b"hello?", b"how are you?")

    asyncio.run(call())


def test_relays_to_a_peer_on_the_internet(relay: Relay, offer: Offer, lab: Lab) -> None:
    """A peer with a public address needs no relay of its own."""

    async def call() -> None:
        loop = asyncio.get_running_loop()
        here = address4(lab.clients.numbers[3])
        transport, peer = await loop.create_datagram_endpoint(Mailbox, local_addr=(here, 0))
        address = transport.get_extra_info("sockname")
        async with allocation(server_of(relay), offer.username, offer.password) as one:
            await one.send(b"over", address)
            data, source = await peer.next()
            assert (data, source) == (b"over", one.address)
            transport.sendto(b"out", source)
            assert (await one.inbox.next())[0] == b"out"
        transport.close()

    asyncio.run(call())


@pytest.mark.parametrize("what", ["forged", "expired", "nobody", "other relay"])
def test_refuses_other_credentials(relay: Relay, offer: Offer, what: str) -> None:
    """Anyone could hide behind an open TURN server."""
    secret = relay.machine.run(["cat", "/var/lib/chatmail-turn/secret"]).out.strip()

    def signed(key: str, username: str) -> tuple[str, str]:
        digest = hmac.new(key.encode(), username.encode(), "sha1").digest()
        return username, base64.b64encode(digest).decode()

    later = str(int(offer.username) + 1)
    username, password = {
        "forged": (later, offer.password),
        "expired": signed(secret, str(int(time.time()) - 1)),
        "nobody": ("", ""),
        "other relay": signed("another secret", offer.username),
    }[what]

    async def attempt() -> None:
        async with allocation(server_of(relay), username, password):
            pass

    assert refusal(attempt) == 401
    # The test signs as the server does.
    good = signed(secret, offer.username)
    assert good == (offer.username, offer.password)


@pytest.mark.parametrize(
    ("peer", "ipv6"),
    [(peer, False) for peer in FORBIDDEN_PEERS] + [(peer, True) for peer in FORBIDDEN_PEERS_6],
)
def test_refuses_peers_that_are_not_on_the_internet(
    relay: Relay, offer: Offer, peer: str, *, ipv6: bool
) -> None:
    """The relay itself, its local network and a cloud's metadata service are not reachable."""

    async def attempt() -> None:
        server = server_of(relay, ipv6=ipv6)
        async with allocation(server, offer.username, offer.password) as one:
            await one.send(b"x", (peer, 53))

    assert refusal(attempt) in (400, 403)


def test_one_account_cannot_take_the_ports_of_others(relay: Relay) -> None:
    """Twelve credentials once took all 1000 allocations, and callers elsewhere heard 486."""
    person, other = Person.on(relay), Offer.of(Person.on(relay))
    offers = [Offer.of(person) for _ in range(12)]
    assert len({offer.username for offer in offers}) == 1

    async def attempt() -> None:
        async with AsyncExitStack() as taken:
            for offer in offers:
                await taken.enter_async_context(
                    allocation(server_of(relay), offer.username, offer.password)
                )

    assert refusal(attempt) == 486

    async def call() -> None:
        async with allocation(server_of(relay), other.username, other.password):
            pass

    asyncio.run(call())


@pytest.mark.parametrize(
    ("peer", "ipv6"), [("9.9.9.9", False), ("1.1.1.1", False), ("2620:fe::fe", True)]
)
def test_accepts_peers_on_the_internet(
    relay: Relay, offer: Offer, peer: str, *, ipv6: bool
) -> None:
    """Too many forbidden addresses would break calls without an explanation."""

    async def attempt() -> None:
        server = server_of(relay, ipv6=ipv6)
        async with allocation(server, offer.username, offer.password) as one:
            await one.client.channel_bind(0x4000, (peer, 53))

    asyncio.run(attempt())


def test_listens_on_udp_only(relay: Relay) -> None:
    """Unneeded services are closed: no TCP, no TLS, no administration interface."""
    listening = relay.machine.run(["ss", "-tlnHp"]).out

    assert "turnserver" not in listening
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((relay.address, 3478), timeout=5)


def test_logs_no_callers(relay: Relay, offer: Offer, lab: Lab) -> None:
    """The journal contains neither addresses nor credentials."""
    cursor = relay.machine.cursor()

    async def call() -> None:
        server = server_of(relay)
        async with allocation(server, offer.username, offer.password) as one:
            await one.send(b"x", (address4(lab.clients.numbers[2]), 9))

    asyncio.run(call())
    with pytest.raises(stun.TransactionFailed):
        asyncio.run(_allocated(relay, "1", "2"))
    relay.machine.run(["systemctl", "restart", "chatmail-turn"])

    said = relay.machine.journal(after=cursor)
    assert "chatmail-turn" in said
    for secret in ("192.0.2.", "2001:db8:", offer.username, offer.password):
        assert secret not in said


async def _allocated(relay: Relay, username: str, password: str) -> None:
    async with allocation(server_of(relay), username, password):
        pass


def test_credentials_survive_a_restart(relay: Relay, offer: Offer) -> None:
    """Clients keep them for days."""
    relay.machine.run(["systemctl", "restart", "chatmail-turn"])

    asyncio.run(_allocated(relay, offer.username, offer.password))


def test_only_two_daemons_can_read_the_secret(relay: Relay) -> None:
    """Anyone who knows it could use the server for free, forever."""
    secret = "/var/lib/chatmail-turn/secret"
    for user, may in (("vmail", True), ("chatmail-web", False), ("www-data", False)):
        read = relay.machine.run(["runuser", "-u", user, "--", "cat", secret], check=False)
        assert (read.status == 0) is may, user
    assert relay.machine.run(["cat", secret]).out.strip() not in repr(relay.value)


def test_behind_nat_the_public_address_is_announced(strict_relay: Relay) -> None:
    """A remote peer cannot reach an address of a local network."""
    outside = "192.0.2.250"
    before = strict_relay.settings
    strict_relay.reconfigure(
        {
            **before,
            "addresses": {"ipv4": outside},
            "turn": {"privateAddress": strict_relay.address},
        }
    )
    try:
        offer = Offer.of(Person.on(strict_relay))
        assert asyncio.run(_relayed(strict_relay, offer)) == outside
        assert asyncio.run(_relayed(strict_relay, offer, ipv6=True)) == strict_relay.address6
    finally:
        strict_relay.reconfigure(before)


async def _relayed(relay: Relay, offer: Offer, *, ipv6: bool = False) -> str:
    server = server_of(relay, ipv6=ipv6)
    async with allocation(server, offer.username, offer.password) as one:
        return one.address[0]


IROH = """\
#!/usr/bin/python3
import sys
import tomllib

from aiohttp import WSMsgType, web

with open(sys.argv[sys.argv.index("--config-path") + 1], "rb") as file:
    host, _, port = tomllib.load(file)["http_bind_addr"].rpartition(":")


async def relay(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data[::-1])
    return socket


async def probe(request):
    return web.Response(status=204 if request.path == "/generate_204" else 200)


app = web.Application()
app.add_routes([web.get("/relay", relay), web.get("/ping", probe), web.get("/generate_204", probe)])
web.run_app(app, host=host, port=int(port))
"""


def test_realtime_channels_go_through_the_relay(lab: Lab) -> None:
    """
    Iroh's requests reach iroh-relay: an upgraded connection and two probes.

    A substitute runs instead of the program, which the operator has to install, in its sandbox.
    """
    relay = lab.relay("_iroh.test")
    assert metadata(Person.on(relay), "irohrelay") is None
    relay.machine.write("/usr/bin/iroh-relay", IROH)
    relay.machine.run(["chmod", "755", "/usr/bin/iroh-relay"])
    relay.reconfigure({"iroh": {"enable": True}})
    relay.machine.wait_for_port(3340, address="127.0.0.1")

    async def channel() -> None:
        base = f"https://{relay.domain}"
        assert metadata(Person.on(relay), "irohrelay") == base
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
            async with session.ws_connect(f"{base}/relay") as socket:
                for size in (1, 60_000):
                    await socket.send_bytes(b"a" + b"b" * size)
                    assert await socket.receive_bytes() == b"b" * size + b"a"
            for path, status in (("/ping", 200), ("/generate_204", 204), ("/relay/", 404)):
                async with session.get(base + path) as response:
                    assert response.status == status, path

    asyncio.run(channel())
    listening = relay.machine.run(["ss", "-tlnH", "sport", "=", "3340"]).out
    assert "127.0.0.1:3340" in listening


def test_an_iroh_relay_on_another_host_can_be_used(strict_relay: Relay) -> None:
    """One iroh-relay is enough for a group of relays."""
    before = strict_relay.settings
    strict_relay.reconfigure({**before, "iroh": {"url": "https://iroh.example.org"}})
    try:
        told = metadata(Person.on(strict_relay), "irohrelay")
    finally:
        strict_relay.reconfigure(before)

    assert told == "https://iroh.example.org"


def test_app_versions_come_from_a_file(strict_relay: Relay) -> None:
    """The file is read again when it changes; with a wrong type, clients get nothing at all."""
    path = "/srv/versions.json"
    source = {
        "sourceId": "apk",
        "versionInteger": 7,
        "versionString": "2.65.0",
        "downloadUrl": "https://download.delta.chat/a.apk",
    }
    good = {"clients": [{"clientId": "deltachat-android", "sources": [source]}]}
    before = strict_relay.settings
    strict_relay.machine.run(["mkdir", "-p", "/srv"])
    strict_relay.machine.write(path, json.dumps(good, indent=2))
    strict_relay.reconfigure({**before, "appVersions": path})
    person = Person.on(strict_relay)
    try:
        assert json.loads(metadata(person, "appversions") or "") == good

        strict_relay.machine.write(path, json.dumps(good).replace(": 7", ': "7"'))
        assert metadata(person, "appversions") is None
        said = strict_relay.machine.journal("chatmail-accounts")
        assert "`clients[0].sources[0].versionInteger` must be a whole number" in said
    finally:
        strict_relay.reconfigure(before)


def test_a_relay_without_turn_offers_none(strict_relay: Relay) -> None:
    """When it is disabled, nothing runs, and clients use their default servers."""
    before = strict_relay.settings
    strict_relay.reconfigure({**before, "turn": {"enable": False}})
    try:
        assert metadata(Person.on(strict_relay), "turn") is None
        assert ":3478" not in strict_relay.machine.run(["ss", "-ulnH"]).out
    finally:
        strict_relay.reconfigure(before)
