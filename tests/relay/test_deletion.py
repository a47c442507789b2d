"""Blocking and deleting accounts takes effect at once, despite caches and open connections."""

from __future__ import annotations

import asyncio
import json
import smtplib
import time
from typing import TYPE_CHECKING

import pytest

from harness import network
from harness.process import wait_until
from people import at_once, hibernation, messages
from people.accounts import delete
from people.dialogue import Dialogue, insecure
from people.people import Person, exists, imap_login, smtp_login

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)

AT_ONCE_SECONDS = 2
HIBERNATED_SECONDS = 60


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Relay:
    """A relay for this module."""
    return lab.relay("_ends.test", {"sending": {"perMinute": 1000, "burst": 1000}})


def end(person: Person, how: str) -> None:
    """Block or delete an account in one of the possible ways."""
    if how == "owner":
        status, answer = delete(person.relay, person.address, person.password)
        assert (status, answer) == (200, {"deleted": person.address})
    else:
        said = person.relay.chatmail("accounts", how, person.address)
        assert (said.err, person.address in said.out) == ("", True)


def idling(person: Person) -> Dialogue:
    """Log in and wait for mail, as a phone does."""
    imap = Dialogue.connect(person.relay.address, 993, insecure())
    imap.line()
    imap.say(f"l LOGIN {person.address} {person.password}").until("l")
    imap.say("s SELECT INBOX").until("s")
    imap.say("i IDLE").line()
    return imap


def cut(imap: Dialogue) -> bool:
    """Read until the relay closes the connection or announces it; silence is an error."""
    while (line := imap.line()) and not line.startswith("* BYE"):
        pass
    return True


WAYS = ["block", "delete", "owner"]


@pytest.mark.parametrize("how", WAYS)
def test_no_login_succeeds_despite_the_cache(relay: Relay, how: str) -> None:
    """Dovecot caches a valid password for an hour, for IMAP and for Postfix."""
    person = Person.on(relay)
    assert smtp_login(relay, person.address, person.password) == ""
    assert imap_login(relay, person.address, person.password) == ""

    end(person, how)

    assert "AUTHENTICATIONFAILED" in imap_login(relay, person.address, person.password)
    assert smtp_login(relay, person.address, person.password).startswith("535 ")


@pytest.mark.parametrize("how", WAYS)
def test_open_imap_connections_are_closed(relay: Relay, how: str) -> None:
    """Otherwise the account could be read for as long as the connection lasts."""
    person, other = Person.on(relay), Person.on(relay)
    with idling(person) as one, idling(person) as two, idling(other) as untouched:
        start = time.monotonic()
        end(person, how)

        assert cut(one)
        assert cut(two)
        assert time.monotonic() - start < AT_ONCE_SECONDS
        untouched.say("DONE")
        assert untouched.until("i")[-1].startswith("i OK")


def test_hibernated_connections_are_closed(relay: Relay) -> None:
    """A hibernated client has no process of its own that could be stopped."""
    person = Person.on(relay)
    with hibernation.soon(relay), idling(person) as imap:
        wait_until(
            lambda: "imap-hibernate" in relay.machine.run(["doveadm", "who", person.address]).out,
            "the client hibernates",
            timeout=HIBERNATED_SECONDS,
            step=0.5,
        )
        end(person, "block")

        assert cut(imap)


@pytest.mark.parametrize("how", WAYS)
def test_open_smtp_sessions_cannot_send_any_more(relay: Relay, how: str) -> None:
    """Postfix authenticates once, and a session may last for hours."""
    person, other = Person.on(relay), Person.on(relay)
    before, after = (messages.encrypted(person.address, other.address) for _ in range(2))
    with person.smtp() as session:
        session.sendmail(person.address, [other.address], before)
        end(person, how)

        with pytest.raises(smtplib.SMTPRecipientsRefused) as told:
            session.sendmail(person.address, [other.address], after)

    code, text = told.value.recipients[other.address]
    assert (code, text) == (554, b"5.7.1 This account is blocked or has been deleted")
    other.wait_for(before)


def test_mail_for_a_blocked_account_is_bounced(relay: Relay) -> None:
    """Its sender learns that no one reads the mailbox."""
    person, other = Person.on(relay), Person.on(relay)
    end(person, "block")

    other.send(messages.encrypted(other.address, person.address), person.address)

    assert b"undeliver" in other.wait_for_any().lower()


def test_an_unblocked_account_is_as_it_was(relay: Relay) -> None:
    """Blocking removes nothing: mail, password and sending work again at once."""
    person, other = Person.on(relay), Person.on(relay)
    kept = messages.encrypted(other.address, person.address)
    other.send(kept, person.address)
    person.wait_for(kept)
    end(person, "block")
    assert imap_login(relay, person.address, person.password) != ""

    relay.chatmail("accounts", "unblock", person.address)

    person.wait_for(kept)
    message = messages.encrypted(person.address, other.address)
    person.send(message, other.address)
    other.wait_for(message)
    listed = json.loads(relay.chatmail("accounts", "list", "--json").out)
    assert [one["blocked"] for one in listed if one["address"] == person.address] == [False]


@pytest.mark.parametrize("how", ["delete", "owner"])
def test_nothing_of_a_deleted_account_is_left(relay: Relay, how: str) -> None:
    """There is no file with its name, no row and no message."""
    person, other = Person.on(relay), Person.on(relay)
    message = messages.encrypted(other.address, person.address)
    other.send(message, person.address)
    person.wait_for(message)
    name = person.address.partition("@")[0]
    state = "/var/lib/chatmail"
    assert name in relay.machine.run(["grep", "-rlaF", name, state]).out + str(
        relay.machine.run(["find", state, "-name", f"*{name}*"]).out
    )

    end(person, how)

    assert not exists(relay, person.address)
    relay.machine.wait_until(f"test -z \"$(find {state} -name '*{name}*')\"", timeout=15)
    relay.machine.wait_until(f'test -z "$(ls -A {state}/mail.deleted)"', timeout=15)
    relay.machine.wait_until(f"! grep -rlaF {name} {state}", timeout=15)


def test_a_deleted_address_is_reserved_for_a_while(relay: Relay) -> None:
    """Others still write to the previous owner."""
    person = Person.on(relay)
    end(person, "delete")

    assert "AUTHENTICATIONFAILED" in imap_login(relay, person.address, "another password")
    assert not exists(relay, person.address)


def test_after_the_grace_period_a_new_account_finds_nothing_old(lab: Lab) -> None:
    """The period is 0 days here: the address is free, but old mail and connections are gone."""
    relay = lab.relay("_nograce.test", {"accounts": {"graceDays": 0}})
    first, other = Person.on(relay), Person.on(relay)
    message = messages.encrypted(other.address, first.address)
    other.send(message, first.address)
    first.wait_for(message)

    with first.smtp() as session:
        relay.chatmail("accounts", "delete", first.address)
        second = Person(relay, first.address, "another password")
        assert imap_login(relay, second.address, second.password) == ""

        assert second.inbox() == []
        assert imap_login(relay, first.address, first.password) != ""
        answer = messages.encrypted(second.address, other.address)
        second.send(answer, other.address)
        other.wait_for(answer)
        session.close()
    time.sleep(4)  # the second pass for what may have been in progress
    assert second.inbox() == []
    second.send(messages.encrypted(second.address, other.address), other.address)
    lab.stop(relay)


def test_deleting_during_deliveries_leaves_nothing(relay: Relay) -> None:
    """Deliveries in progress must not create the mailbox again."""
    person, other = Person.on(relay), Person.on(relay)

    async def pour() -> None:
        for _ in range(15):
            message = messages.encrypted(other.address, person.address)
            async with at_once.session(other) as session:
                await session.sendmail(other.address, [person.address], message)

    async def while_it_pours() -> None:
        async with asyncio.TaskGroup() as senders:
            for _ in range(4):
                senders.create_task(pour())
            await asyncio.to_thread(person.wait_for_any)
            await asyncio.to_thread(end, person, "delete")

    asyncio.run(while_it_pours())

    home = f"{relay.value.daemons['paths']['mailboxes']}/{person.address}"
    wait_until(
        lambda: not relay.machine.run(["postqueue", "-j"]).out,
        "the queue is empty",
        timeout=60,
    )
    relay.machine.wait_until(f"test ! -e {home}", timeout=15)


@pytest.mark.parametrize("password", ["", "wrong", "x" * 2000, "пароль"])
def test_only_the_owner_may_delete(relay: Relay, password: str) -> None:
    """Without the password one learns nothing, not even whether the account exists."""
    person = Person.on(relay)
    nobody, _ = relay.credentials()

    known = delete(relay, person.address, password)
    unknown = delete(relay, nobody, password)

    assert known == unknown == (401, {"reason": "The address or the password is wrong."})
    assert imap_login(relay, person.address, person.password) == ""


def test_guessing_passwords_is_slow(relay: Relay) -> None:
    """One network gets only a few attempts; others are not delayed."""
    person = Person.on(relay)
    robot, owner = (network.address4(number) for number in network.CLIENTS[13:15])
    statuses = [
        delete(relay, person.address, f"guess {number}", source=robot)[0] for number in range(20)
    ]

    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 14
    assert delete(relay, person.address, person.password, source=owner)[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_nothing_but_a_post_deletes(relay: Relay, method: str) -> None:
    """Requests that browsers or previews send by themselves must not delete anything."""
    person = Person.on(relay)

    status, _ = delete(
        relay,
        person.address,
        person.password,
        method=method,
        source=network.address4(network.CLIENTS[11]),
    )

    assert status == 405
    assert imap_login(relay, person.address, person.password) == ""


@pytest.mark.parametrize("action", ["block", "unblock", "delete"])
def test_says_that_there_is_no_such_account(relay: Relay, action: str) -> None:
    """A mistyped address is reported, and nothing else happens."""
    said = relay.chatmail("accounts", action, f"nobodyhere@{relay.domain}", check=False)

    assert said.status == 1
    assert said.err == f"chatmail accounts: there is no account nobodyhere@{relay.domain}\n"


@pytest.fixture
def without_dovecot(relay: Relay) -> Iterator[Person]:
    """A user with an account, while Dovecot is down for the length of a test."""
    person = Person.on(relay)
    assert imap_login(relay, person.address, person.password) == ""
    relay.machine.run(["systemctl", "stop", "dovecot"])
    yield person
    relay.machine.run(["systemctl", "start", "dovecot"])
    relay.wait_ready()


def test_deletion_works_without_dovecot(relay: Relay, without_dovecot: Person) -> None:
    """The operator gets a warning and may try again; the account is gone all the same."""
    address = without_dovecot.address

    said = relay.chatmail("accounts", "block", address, check=False)

    assert said.status == 1
    assert "Dovecot cannot be reached" in said.err
    assert '"blocked": true' in relay.chatmail("accounts", "show", "--json", address).out


def test_the_journal_contains_no_personal_data(relay: Relay) -> None:
    """Addresses of blocked and deleted accounts are not logged."""
    cursor = relay.machine.cursor()
    people = {how: Person.on(relay) for how in WAYS}
    for how, person in people.items():
        if how == "owner":
            status, _ = delete(
                relay, person.address, person.password,
                source=network.address4(network.CLIENTS[10]),
            )  # fmt: skip
            assert status == 200
        else:
            end(person, how)
    time.sleep(4)

    journal = relay.machine.run(["journalctl", "--no-pager", f"--after-cursor={cursor}"]).out
    for person in people.values():
        assert person.address.partition("@")[0] not in journal
