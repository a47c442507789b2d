"""
A program on the relay cannot forge mail, whichever service it has taken over.

The owners of the mailboxes and of the queue (vmail, postfix and root) hold them in their hands and
are left out; everybody else is tried at every door that there is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from people import local_doors, messages

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay
    from harness.stranger import MailServer
    from people.people import Person

# Who may list the queue is in Postfix' group, and so reaches pickup(8) and cleanup(8).
SETTINGS = {"metrics": {"enable": True}}
OWNERS = {"root", "vmail", "postfix"}


def users(relay: Relay) -> dict[str, str]:
    """Every user of a service, and those that stand for all others, with their group's number."""
    listed = [line.split(":") for line in relay.machine.run(["getent", "passwd"]).out.splitlines()]
    return {
        name: group
        for name, _, number, group, *_ in listed
        if (100 <= int(number) <= 65534 or name == "www-data") and name not in OWNERS
    }


@pytest.fixture
def relay(lab: Lab) -> Relay:
    """A relay with every user that may come near the queue."""
    return lab.relay("_doors.test", SETTINGS)


def test_no_user_of_a_service_brings_in_a_message(
    relay: Relay, classic: MailServer, alice: Person, bob: Person
) -> None:
    """Neither to a mailbox here nor, signed as ours, to somebody elsewhere."""
    program = Path(local_doors.__file__).read_text()
    tried = users(relay)
    assert {"nobody", "chatmail-web", "chatmail-metrics", "dovenull", "www-data"} <= tried.keys()

    opened: dict[str, list[str]] = {}
    for user, group in tried.items():
        text = messages.cleartext(alice.address, bob.address)
        said = relay.machine.run(
            [
                *("setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups", "--"),
                *("python3", "-c", program, bob.address, f"victim@{classic.domain}"),
            ],
            input=text.decode(),
        ).out
        assert said.count("\n") > 20, said
        opened[user] = [line for line in said.splitlines() if not line.startswith("closed ")]

    # Who may list the queue may also write there. pickup(8) then asks the filter, which refuses.
    assert opened.pop("chatmail-metrics") == ["OPEN maildrop"]
    assert opened == {user: [] for user in opened}
    sentinel = messages.encrypted(alice.address, bob.address)
    alice.send(sentinel, bob.address)
    assert bob.inbox_after(sentinel) == []
    there = messages.encrypted(alice.address, f"victim@{classic.domain}")
    alice.send(there, f"victim@{classic.domain}")
    classic.wait_for(messages.id_of(there))
    assert len(classic.received()) == 1


def test_the_mail_of_root_does_not_leave(relay: Relay, alice: Person, bob: Person) -> None:
    """A cron job that writes an address of ours as its sender gets no signature."""
    text = messages.cleartext(alice.address, bob.address)
    relay.machine.run(["sendmail", "-i", "-f", alice.address, bob.address], input=text.decode())

    sentinel = messages.encrypted(alice.address, bob.address)
    alice.send(sentinel, bob.address)
    assert bob.inbox_after(sentinel) == []


@pytest.mark.parametrize("directory", ["/run/dovecot", "/run"])
def test_no_listening_socket_is_open_to_everybody(relay: Relay, directory: str) -> None:
    """Each has an owner and a mode that somebody chose; systemd's own are for everybody."""
    found = relay.machine.run(
        f"find {directory} -xdev -type s -perm /006 -not -path '/run/systemd/*'"
        " -not -path '/run/dbus/*' -not -path '/run/host/*'"
    ).out.split()

    assert found == []
