"""Creating addresses: open, by invitation or closed, and the limit on their number."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from harness import network
from people import https
from people.accounts import new_address
from people.people import Person, exists, imap_login, smtp_login

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)

INVITED = {"registration": "invite"}
PER_MINUTE = 10
LIMITED = {"accounts": {"perNetworkPerMinute": PER_MINUTE}}
AT_ONCE = 3 * PER_MINUTE + 1


@pytest.fixture(scope="module")
def invited(lab: Lab) -> Relay:
    """A relay with registration by invitation."""
    return lab.relay("_invited.test", INVITED)


@pytest.fixture(scope="module")
def limited(lab: Lab) -> Relay:
    """A relay with the limits of a real one."""
    return lab.relay("_limited.test", LIMITED)


def invite(relay: Relay, *options: str) -> tuple[int, str]:
    """Create an invite; return its number, and the path that a client requests."""
    made = json.loads(relay.chatmail("invites", "add", "--json", *options).out)
    found = re.fullmatch(rf"DCACCOUNT:https://{re.escape(relay.domain)}(/new\?t=.+)", made["link"])
    assert found, made
    return made["id"], found[1]


def test_an_invite_creates_an_account(invited: Relay) -> None:
    """The test goes from the operator's command through the link to the first and later logins."""
    _, path = invite(invited)

    status, answer = new_address(invited, path)

    assert status == 200
    assert imap_login(invited, answer["email"], answer["password"]) == ""
    assert smtp_login(invited, answer["email"], answer["password"]) == ""


def test_without_an_invite_there_is_no_account(invited: Relay) -> None:
    """Neither a request nor a login with a name of one's choice works."""
    for path in ("/new", "/new?t=", "/new?t=wrong", "/new?t=%00%ff", "/new?t=" + "x" * 3000):
        status, answer = new_address(invited, path)
        assert status == 403, path
        assert answer["reason"].endswith(".")

    address, password = invited.credentials()
    assert "AUTHENTICATIONFAILED" in imap_login(invited, address, password)
    assert smtp_login(invited, address, password).startswith("535 ")
    assert not exists(invited, address)


def test_each_reason_says_what_to_do(invited: Relay) -> None:
    """The app shows it to the user."""
    _, path = invite(invited)
    answer = new_address(invited, path)[1]
    imap_login(invited, answer["email"], answer["password"])
    expired, later = invite(invited, "--days", "1", "--uses", "5")
    book = invited.value.daemons["paths"]["accountBook"]
    script = (
        "import sqlite3, sys; book = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "book.execute('UPDATE invites SET last_day = 1 WHERE id = ?', sys.argv[2:])"
    )
    invited.machine.run(["python3", "-c", script, book, str(expired)])

    assert "used up" in new_address(invited, path)[1]["reason"]
    assert "expired" in new_address(invited, later)[1]["reason"]
    assert "not valid" in new_address(invited, "/new?t=AAAAAAAAAAAAAAAAAAAAAA")[1]["reason"]
    assert "by invitation only" in new_address(invited, "/new")[1]["reason"]


def test_an_invite_for_two_creates_two_accounts(invited: Relay) -> None:
    """Ten clients get a name and log in at the same moment, and two succeed."""
    _, path = invite(invited, "--uses", "2")
    answers = [new_address(invited, path) for _ in range(10)]
    assert {status for status, _ in answers} == {200}

    with ThreadPoolExecutor(10) as pool:
        said = list(
            pool.map(lambda one: imap_login(invited, one[1]["email"], one[1]["password"]), answers)
        )

    assert said.count("") == 2
    assert sum(exists(invited, answer["email"]) for _, answer in answers) == 2
    assert new_address(invited, path)[0] == 403


def test_opening_a_link_does_not_use_the_invite(invited: Relay) -> None:
    """Messengers fetch links for previews, and clients ask again after a lost connection."""
    _, path = invite(invited)
    for method in ("GET", "HEAD", "POST") * 5:
        response, _ = https.ask(invited, method, path)
        assert response.status == 200

    _, answer = new_address(invited, path)
    assert imap_login(invited, answer["email"], answer["password"]) == ""


def test_a_withdrawn_invite_is_invalid(invited: Relay) -> None:
    """The names handed out for it become invalid as well; existing accounts stay."""
    number, path = invite(invited, "--uses", "5", "--comment", "for the choir")
    kept, lost = (new_address(invited, path)[1] for _ in range(2))
    assert imap_login(invited, kept["email"], kept["password"]) == ""
    assert "for the choir" in invited.chatmail("invites", "list").out

    invited.chatmail("invites", "remove", str(number))

    assert new_address(invited, path)[0] == 403
    assert imap_login(invited, lost["email"], lost["password"]) != ""
    assert imap_login(invited, kept["email"], kept["password"]) == ""
    assert "for the choir" not in invited.chatmail("invites", "list").out


def test_the_operator_sees_how_often_an_invite_was_used(invited: Relay) -> None:
    """Only the number is stored, not who used it."""
    number, path = invite(invited, "--uses", "3")
    answer = new_address(invited, path)[1]
    imap_login(invited, answer["email"], answer["password"])

    listed = json.loads(invited.chatmail("invites", "list", "--json").out)

    mine = next(one for one in listed if one["id"] == number)
    assert (mine["used"], mine["uses"], mine["good"]) == (1, 3, True)
    assert answer["email"] not in json.dumps(listed)


def test_the_printed_qr_code_works(invited: Relay) -> None:
    """The command prints the link as text and as a QR code made of block characters."""
    said = invited.chatmail("invites", "add").out

    assert said.startswith(f"DCACCOUNT:https://{invited.domain}/new?t=")
    assert "█" in said
    refused = invited.chatmail("invite", check=False)
    assert refused.status == 1
    assert "chatmail invites add" in refused.err


@pytest.mark.parametrize(
    "options", [["--uses", "0"], ["--uses", "many"], ["--days", "-1"], ["--uses", "9999999"]]
)
def test_refuses_an_invalid_invite(invited: Relay, options: list[str]) -> None:
    """The command prints one sentence and creates no invite."""
    before = invited.chatmail("invites", "list").out

    said = invited.chatmail("invites", "add", *options, check=False)

    assert said.status in (1, 2)
    assert "Traceback" not in said.err
    assert invited.chatmail("invites", "list").out == before


def test_an_invite_works_on_an_open_relay_too(relay: Relay) -> None:
    """A poster with an invite still works after the operator has opened registration."""
    assert new_address(relay, "/new?t=from-an-old-poster")[0] == 200


@pytest.fixture
def stop(invited: Relay, relay: Relay) -> Iterator[None]:
    """Restart registration on both relays after the test."""
    yield
    for one in (invited, relay):
        one.chatmail("registration", "start")


@pytest.mark.usefixtures("stop")
def test_the_stop_works_at_once_and_ends_at_once(relay: Relay) -> None:
    """It needs no restart, existing users notice nothing, and one command ends it."""
    person = Person.on(relay)
    address, password = relay.credentials()
    pids = relay.machine.run(["pgrep", "-f", "chatmail-(accounts|web)"]).out

    assert "yes: no new addresses" in relay.chatmail("registration", "stop").out

    status, answer = new_address(relay)
    assert (status, "at the moment" in answer["reason"]) == (403, True)
    assert imap_login(relay, address, password) != ""
    assert imap_login(relay, person.address, person.password) == ""

    assert "yes" not in relay.chatmail("registration", "start").out

    assert new_address(relay)[0] == 200
    assert imap_login(relay, address, password) == ""
    assert relay.machine.run(["pgrep", "-f", "chatmail-(accounts|web)"]).out == pids


@pytest.mark.usefixtures("stop")
def test_the_stop_survives_a_restart_and_applies_to_invites(invited: Relay) -> None:
    """An attack may last longer than a daemon, and the attacker may have an invite."""
    _, path = invite(invited)
    invited.chatmail("registration", "stop")
    invited.machine.run(["systemctl", "restart", "chatmail-accounts", "chatmail-web"])

    assert new_address(invited, path)[0] == 403
    assert json.loads(invited.chatmail("registration", "show", "--json").out) == {
        "registration": "invite",
        "stopped": True,
        "shortage": None,
    }


def test_addresses_per_network_are_limited(limited: Relay) -> None:
    """A class succeeds and a robot does not; another network is not affected."""
    first, other = (network.address4(number) for number in network.CLIENTS[:2])
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: new_address(limited, source=first), range(AT_ONCE + 9)))

    statuses = [status for status, _ in answers]
    refused = [answer for status, answer in answers if status == 429]
    assert set(statuses) == {200, 429}
    # One more for every six seconds that the requests took.
    assert AT_ONCE <= statuses.count(200) <= AT_ONCE + 3
    assert "your network" in refused[0]["reason"]
    assert new_address(limited, source=other)[0] == 200


def test_an_ipv6_network_counts_as_one(limited: Relay) -> None:
    """A household has 2^64 addresses."""
    sources = [network.address6(number) for number in network.CLIENTS[2:12]]
    assert len({ipaddress.ip_network(f"{one}/64", strict=False) for one in sources}) == 1

    statuses = [
        new_address(limited, address=f"[{limited.address6}]", source=sources[turn % len(sources)])[
            0
        ]
        for turn in range(AT_ONCE + 5)
    ]

    assert statuses.count(429) >= 2


def test_the_old_path_has_the_same_budget(limited: Relay) -> None:
    """Both paths are counted together."""
    source = network.address4(network.CLIENTS[12])
    for turn in range(AT_ONCE):
        new_address(limited, ("/new", "/cgi-bin/newemail.py")[turn % 2], source=source)

    statuses = [
        new_address(limited, path, source=source)[0]
        for path in ("/new", "/cgi-bin/newemail.py") * 2
    ]

    assert 429 in statuses


def test_the_relays_limit_includes_first_logins(lab: Lab) -> None:
    """Logins come from any number of networks, so their accounts are counted together."""
    relay = lab.relay("_hourly.test", {"accounts": {"maxPerHour": 3}})
    people = [Person.on(relay) for _ in range(3)]
    address, password = relay.credentials()

    assert "UNAVAILABLE" in imap_login(relay, address, password)
    assert not exists(relay, address)
    status, answer = new_address(relay)
    assert (status, "too busy" in answer["reason"]) == (503, True)
    for person in people:
        assert imap_login(relay, person.address, person.password) == ""
    lab.stop(relay)


def test_other_programs_cannot_use_the_operators_socket(invited: Relay) -> None:
    """Root owns the socket for invites, and chatmail-web can open only the one for names."""
    paths = invited.value.daemons["paths"]
    script = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    tried = {
        (user, name): invited.machine.run(
            ["setpriv", f"--reuid={user}", "--init-groups", f"--regid={user}", "python3", "-c",
             script, paths[name]],
            check=False,
        ).status
        for user in ("chatmail-web", "chatmail-filter", "www-data", "dovecot")
        for name in ("controlSocket", "registrarSocket")
    }  # fmt: skip

    assert [who for who, status in tried.items() if status == 0] == [
        ("chatmail-web", "registrarSocket")
    ]


def test_port_80_gives_no_address(limited: Relay) -> None:
    """Otherwise the password would be sent unencrypted, and the limit would not apply."""
    with socket.create_connection((limited.address, 80), timeout=10) as plain:
        plain.sendall(f"POST /new HTTP/1.1\r\nHost: {limited.domain}\r\n\r\n".encode())
        assert b" 301 " in plain.recv(100)
