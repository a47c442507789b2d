"""The echo bot's address: reserved for it in every registration mode."""

from __future__ import annotations

import re
import smtplib
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from harness import deltachat
from harness.deltachat import await_message
from harness.errors import CommandFailedError
from harness.process import wait_until
from people import messages
from people.https import get
from people.people import Person, exists, imap_login, smtp_login

if TYPE_CHECKING:
    from pathlib import Path

    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(300)

INVITE = "/run/chatmail-echo/invite"
# The state after the first start of an earlier release: a random name, with core's own login.
EARLIER = """
import os, sys
from deltachat_rpc_client import DeltaChat, Rpc
state, server, address, word = sys.argv[1:]
with Rpc(f"{state}/accounts", rpc_server_path=server, env={**os.environ, "HOME": state}) as rpc:
    account = DeltaChat(rpc).add_account()
    account.update_config(bot="1", displayname="Echo")
    account.add_or_update_transport({
        "addr": address, "password": word, "imapServer": "127.0.0.1", "imapPort": 993,
        "imapSecurity": "ssl", "smtpServer": "127.0.0.1", "smtpPort": 465, "smtpSecurity": "ssl",
        "certificateChecks": "acceptInvalidCertificates",
    })
"""
# An account from before the name was reserved.
AS_BEFORE = """
import sqlite3, sys
book = sqlite3.connect("/var/lib/chatmail/accounts.sqlite")
book.execute("INSERT INTO accounts (address, password, created_day) VALUES (?, ?, 1)", sys.argv[1:])
book.commit()
"""


def shown(relay: Relay) -> str:
    """Return the invite on the website, or "" if there is none."""
    link = re.search(rb'href="(https://i\.delta\.chat/#[^"]+)"', get(relay, "/")[1])
    return unescape(link[1].decode()) if link else ""


def invite(relay: Relay) -> str:
    """Wait for the invite on the website."""
    return wait_until(lambda: shown(relay), "the invite of the echo bot", timeout=90)


def address_in(link: str) -> str:
    """Return the address in an invite."""
    found = re.search(r"[&#]a=([^&]+)", link)
    assert found, link
    return unquote(found[1])


def answers(relay: Relay, directory: Path, writer: Person, text: str) -> None:
    """Write to the bot from an existing account, and wait for its answer."""
    with deltachat.core(directory) as core:
        account = core.deltachat.add_account()
        parameters = deltachat.login(relay, writer.address, writer.password)
        account.add_or_update_transport(parameters)
        account.bring_online()
        chat = account.secure_join(invite(relay))
        account.wait_for_securejoin_joiner_success()
        chat.send_text(text)
        await_message(account, text)


@pytest.mark.parametrize("registration", ["open", "invite", "closed"])
def test_its_address_is_echo_in_every_registration_mode(
    lab: Lab, tmp_path: Path, registration: str
) -> None:
    """Its first start once needed open registration, and chose a random name."""
    relay = lab.relay(f"_echo-{registration}.test")
    writer = Person.on(relay)
    relay.reconfigure({"registration": registration, "echo": {"enable": True}})

    assert address_in(invite(relay)) == f"echo@{relay.domain}"
    answers(relay, tmp_path, writer, "Is anybody there?")
    assert exists(relay, f"echo@{relay.domain}")
    newcomer = Person(relay, *relay.credentials())
    assert bool(imap_login(relay, newcomer.address, newcomer.password)) is (registration != "open")


@pytest.mark.parametrize("bot", [False, True], ids=["without-a-bot", "with-a-bot"])
def test_a_stranger_cannot_get_its_address(lab: Lab, *, bot: bool) -> None:
    """Names may even be that short, and the bot may not be enabled yet."""
    settings = {"accounts": {"nameMinLength": 1}, "echo": {"enable": bot}}
    relay = lab.relay(f"_short-{'bot' if bot else 'none'}.test", settings)
    address = f"echo@{relay.domain}"
    if bot:
        invite(relay)

    assert "FAILED" in imap_login(relay, address, "a-strangers-password")
    assert smtp_login(relay, address, "a-strangers-password").startswith("535")
    assert exists(relay, address) is bot
    assert not imap_login(relay, f"ech@{relay.domain}", "a-strangers-password")


def test_only_the_bot_reads_its_password_and_opens_its_socket(lab: Lab) -> None:
    """Either would give access to the account."""
    relay = lab.relay("_echo.test", {"echo": {"enable": True}})
    invite(relay)
    run = relay.machine.run

    said = run(["stat", "-c", "%U %a", "/var/lib/chatmail-echo", "/var/lib/chatmail-echo/password"])
    assert said.out.splitlines() == ["chatmail-echo 700", "chatmail-echo 600"]
    socket = run(["stat", "-c", "%U %G %a", "/run/chatmail-accounts/echo.sock"]).out.split()
    assert socket == ["vmail", "chatmail-echo", "660"]
    word = run(["cat", "/var/lib/chatmail-echo/password"]).out.strip()
    assert word
    assert word not in run(["journalctl", "--no-pager"]).out
    assert word not in run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").out


def test_a_blocked_bot_is_not_on_the_website(lab: Lab, tmp_path: Path) -> None:
    """An invite to a bot that does not answer is worse than none."""
    relay = lab.relay("_echo.test", {"echo": {"enable": True}})
    writer = Person.on(relay)
    before = invite(relay)
    relay.chatmail("accounts", "block", f"echo@{relay.domain}")

    wait_until(lambda: not shown(relay), "a website without the bot", timeout=90)
    journal = relay.machine.journal("chatmail-echo")
    assert "the relay refuses the bot: the account is blocked" in journal
    assert relay.machine.run(["systemctl", "is-active", "chatmail-echo"]).out.strip() == "active"

    relay.chatmail("accounts", "unblock", f"echo@{relay.domain}")
    assert address_in(invite(relay)) == address_in(before)
    answers(relay, tmp_path, writer, "Back again?")


def test_a_deleted_bot_comes_back(lab: Lab, tmp_path: Path) -> None:
    """Printed invites stay valid, because it keeps its key and its address."""
    relay = lab.relay("_echo.test", {"echo": {"enable": True}})
    writer = Person.on(relay)
    before = invite(relay)
    relay.chatmail("accounts", "delete", f"echo@{relay.domain}")

    wait_until(lambda: exists(relay, f"echo@{relay.domain}"), "the account again", timeout=90)
    assert shown(relay).partition("&")[0] == before.partition("&")[0]
    answers(relay, tmp_path, writer, "Risen?")


def test_a_bot_keeps_an_address_from_an_earlier_release(lab: Lab, tmp_path: Path) -> None:
    """Its invites are printed, and users have it in their contacts."""
    relay = lab.relay("_echo-earlier.test", {"echo": {"enable": True}})
    invite(relay)
    machine = relay.machine
    machine.run(["systemctl", "stop", "chatmail-echo"])
    relay.chatmail("accounts", "delete", f"echo@{relay.domain}")
    machine.run("rm -rf /var/lib/chatmail-echo/*")
    earlier, writer = Person.on(relay), Person.on(relay)
    machine.write("/run/earlier.py", EARLIER)
    state, server = "/var/lib/chatmail-echo", relay.value.daemons["echo"]["server"]
    command = ["runuser", "-u", "chatmail-echo", "--", "python3", "/run/earlier.py"]
    machine.run([*command, state, server, earlier.address, earlier.password], timeout=120)
    relay.reconfigure({"registration": "closed", "echo": {"enable": True}})

    wait_until(lambda: address_in(invite(relay)) == earlier.address, "its old address", timeout=60)
    answers(relay, tmp_path, writer, "Still you?")
    assert not exists(relay, f"echo@{relay.domain}")


def test_a_user_who_had_the_name_keeps_it(lab: Lab) -> None:
    """The bot reports the conflict, and the user's password does not change."""
    relay = lab.relay("_echo-person.test")
    person = Person(relay, f"echo@{relay.domain}", "a-persons-password")
    other = Person.on(relay)
    word = hashed(relay, person.password)
    relay.machine.run(["python3", "-c", AS_BEFORE, person.address, word])
    with pytest.raises(CommandFailedError, match="chatmail-echo"):
        relay.reconfigure({"echo": {"enable": True}})

    def told() -> bool:
        return "exists with another password" in relay.machine.journal("chatmail-echo")

    wait_until(told, "the reason in the journal", timeout=60)
    assert not imap_login(relay, person.address, person.password)
    letter = messages.encrypted(other.address, person.address)
    other.send(letter, person.address)
    person.wait_for(letter)
    assert shown(relay) == ""
    with pytest.raises(smtplib.SMTPAuthenticationError):
        Person(relay, person.address, "not-the-password").send(letter, other.address)


def hashed(relay: Relay, password: str) -> str:
    """Hash a password as the relay stores it."""
    command = ["doveadm", "pw", "-s", "BLF-CRYPT", "-p", password]
    return relay.machine.run(command).out.strip()
