"""
A compromised service on the relay cannot forge mail.

The owners of the mailboxes and of the queue (vmail, postfix and root) control them anyway and are
not tested. All other users are tried at every socket and program that accepts mail.
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

# Users who may list the queue are in Postfix' group, and so can reach pickup(8) and cleanup(8).
SETTINGS = {"metrics": {"enable": True}}
OWNERS = {"root", "vmail", "postfix"}


def users(relay: Relay) -> dict[str, str]:
    """All users of services, and one that represents all others, with their group IDs."""
    listed = [line.split(":") for line in relay.machine.run(["getent", "passwd"]).out.splitlines()]
    return {
        name: group
        for name, _, number, group, *_ in listed
        if (100 <= int(number) <= 65534 or name == "www-data") and name not in OWNERS
    }


@pytest.fixture
def relay(lab: Lab) -> Relay:
    """A relay with every user that can come near the queue."""
    return lab.relay("_doors.test", SETTINGS)


def test_no_service_user_can_inject_a_message(
    relay: Relay, classic: MailServer, alice: Person, bob: Person
) -> None:
    """Neither local nor remote recipients get one, signed or not."""
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

    # Users who may list the queue can also write there. Then pickup(8) asks the filter, which
    # refuses.
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
    """A cron job with one of the relay's addresses as its sender gets no signature."""
    text = messages.cleartext(alice.address, bob.address)
    relay.machine.run(["sendmail", "-i", "-f", alice.address, bob.address], input=text.decode())

    sentinel = messages.encrypted(alice.address, bob.address)
    alice.send(sentinel, bob.address)
    assert bob.inbox_after(sentinel) == []


@pytest.mark.parametrize("directory", ["/run/dovecot", "/run"])
def test_no_listening_socket_is_open_to_all_users(relay: Relay, directory: str) -> None:
    """Each socket has a chosen owner and mode, except systemd's own, which are open to all."""
    found = relay.machine.run(
        f"find {directory} -xdev -type s -perm /006 -not -path '/run/systemd/*'"
        " -not -path '/run/dbus/*' -not -path '/run/host/*'"
    ).out.split()

    assert found == []
