"""A new message wakes a sleeping phone promptly and once, whatever the state of the push proxy."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import pytest

from harness.process import wait_until
from harness.push_proxy import PushProxy, publish, push_proxy
from people import messages
from people.dialogue import Dialogue, insecure
from people.people import Person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = [pytest.mark.timeout(180), pytest.mark.alone]

DOMAIN = "_push.test"
SETTINGS = {
    "push": {"proxy": "https://push.test/notify"},
    "sending": {"perMinute": 100000, "burst": 100000},
}
ACCOUNTS = "chatmail-accounts.service"
WITHIN_SECONDS = 0.1
"""From delivery to the proxy, on a relay that is not overloaded."""
QUIET_SECONDS = 3
"""How long nothing must happen to be taken for never: retries come after 1 s."""


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Relay:
    """A relay that uses the lab's push proxy."""
    return lab.relay(DOMAIN, SETTINGS)


@pytest.fixture
def proxy(lab: Lab) -> Iterator[PushProxy]:
    """A working push proxy."""
    with push_proxy(lab) as proxy:
        yield proxy


def metadata(person: Person, command: str) -> list[str]:
    """Log in and run one METADATA command; return the answer."""
    with Dialogue.connect(person.relay.address, 993, insecure()) as imap:
        imap.line()
        imap.say(f"l LOGIN {person.address} {person.password}").until("l")
        imap.say(f"a {command}")
        return imap.until("a")


def register(person: Person, *names: str) -> list[str]:
    """Register device tokens like those of clients; return them."""
    tokens = [f"openpgp:{person.address.partition('@')[0]}{name}==" for name in names or ("phone",)]
    for token in tokens:
        said = metadata(person, f'SETMETADATA INBOX (/private/devicetoken "{token}")')
        assert said[-1].startswith("a OK")
    return tokens


def registered(person: Person) -> str:
    """Return the tokens that the relay has stored."""
    lines = metadata(person, "GETMETADATA INBOX /private/devicetoken")
    return "" if "NIL" in lines[0] else lines[1].removesuffix(")")


def write(sender: Person, *recipients: Person) -> bytes:
    """Send an encrypted message; return when the relay has accepted it."""
    message = messages.encrypted(sender.address, recipients[0].address)
    sender.send(message, *(one.address for one in recipients))
    return message


def test_a_message_wakes_every_device(proxy: PushProxy, alice: Person, bob: Person) -> None:
    """For each device, the proxy gets the token as the whole body, and nothing else."""
    phone, tablet = register(bob, "phone", "tablet")

    write(alice, bob)

    [told] = proxy.wait_for(phone)
    proxy.wait_for(tablet)
    assert told.path == "/notify"
    time.sleep(QUIET_SECONDS)
    assert sorted(proxy.tokens()) == sorted([phone, tablet])


def test_the_notification_follows_delivery_within_100_ms(
    proxy: PushProxy, alice: Person, bob: Person
) -> None:
    """A call must ring at once. The time counts from the end of the submission."""
    [token] = register(bob)
    write(alice, bob)
    proxy.wait_for(token)
    waits = []
    with alice.smtp() as session:
        for count in range(2, 12):
            message = messages.encrypted(alice.address, bob.address)
            start = time.monotonic()
            session.sendmail(alice.address, [bob.address], message)
            waits.append(proxy.wait_for(token, count)[-1].at - start)

    assert statistics.median(waits) < WITHIN_SECONDS


def test_own_copies_are_not_notified(proxy: PushProxy, alice: Person, bob: Person) -> None:
    """A client sends copies to itself for the user's other devices, also of messages to others."""
    [mine] = register(alice)
    [other] = register(bob)

    write(alice, alice)
    write(alice, bob, alice)

    proxy.wait_for(other)
    write(alice, bob)
    proxy.wait_for(other, 2)
    assert proxy.count(mine) == 0
    assert proxy.count(other) == 2


def test_a_message_to_several_recipients_wakes_each_once(
    proxy: PushProxy, alice: Person, bob: Person, relay: Relay
) -> None:
    """In a group every phone wakes, and none twice."""
    group = [bob, *(Person.on(relay) for _ in range(3))]
    tokens = [register(member)[0] for member in group]

    write(alice, *group)

    for token in tokens:
        proxy.wait_for(token)
    time.sleep(QUIET_SECONDS)
    assert sorted(proxy.tokens()) == sorted(tokens)


def test_an_invalid_token_is_deleted(proxy: PushProxy, alice: Person, bob: Person) -> None:
    """Status 410 means that the app was removed from that device. Other tokens stay."""
    dead, living = register(bob, "old", "new")
    proxy.dead.add(dead)

    write(alice, bob)
    proxy.wait_for(dead)
    wait_until(lambda: registered(bob) == living, "the token is forgotten", timeout=10)

    write(alice, bob)
    proxy.wait_for(living, 2)
    assert proxy.count(dead) == 1


@pytest.mark.parametrize("answer", [500, 503, 429, 404, 301])
def test_a_failure_of_the_proxy_is_retried(
    proxy: PushProxy, alice: Person, bob: Person, answer: int
) -> None:
    """Any status other than 200 and 410 is temporary, and the message must be notified."""
    [token] = register(bob)
    with proxy.failing(answer):
        write(alice, bob)
        proxy.wait_for(token)

    proxy.wait_for(token, 2)

    time.sleep(QUIET_SECONDS)
    assert proxy.count(token) == 2


def test_a_proxy_that_hangs_delays_no_mail(
    proxy: PushProxy, alice: Person, bob: Person, relay: Relay
) -> None:
    """Delivery must not depend on notifications."""
    tokens = register(bob, *(f"device{number}" for number in range(16)))
    with proxy.stalling():
        for _ in range(4):
            write(alice, bob)
        proxy.wait_for(tokens[0])
        start = time.monotonic()
        bob.wait_for(write(alice, bob))
        took = time.monotonic() - start
        assert relay.machine.run(["systemctl", "is-active", ACCOUNTS]).out.strip() == "active"

    assert took < 2


def test_an_unreachable_proxy_delays_no_mail(
    lab: Lab, relay: Relay, alice: Person, bob: Person
) -> None:
    """When the proxy is back, it gets the notification."""
    publish(lab)
    [token] = register(bob)
    start = time.monotonic()
    bob.wait_for(write(alice, bob))
    took = time.monotonic() - start

    with push_proxy(lab) as proxy:
        proxy.wait_for(token)

    assert took < 2


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_queued_notifications_survive_a_restart(
    proxy: PushProxy, alice: Person, bob: Person, relay: Relay, how: str
) -> None:
    """An update or a crash of the daemon loses no notification."""
    [token] = register(bob)
    with proxy.failing():
        write(alice, bob)
        # The second attempt shows that the first is in the book.
        proxy.wait_for(token, 2)
        command = ["restart"] if how == "restart" else ["kill", "--signal=KILL"]
        relay.machine.run(["systemctl", *command, ACCOUNTS])

    relay.machine.wait_for_unit(ACCOUNTS)
    proxy.wait_for(token, 3, timeout=90)


def test_a_daemon_that_is_killed_at_once_loses_nothing(
    proxy: PushProxy, alice: Person, bob: Person, relay: Relay
) -> None:
    """Notifications of the last moment were only in memory, and phones did not wake."""
    [token] = register(bob)
    with proxy.stalling():
        write(alice, bob)
        proxy.wait_for(token)
        relay.machine.run(["systemctl", "kill", "--signal=KILL", ACCOUNTS])
        killed = time.monotonic()

    relay.machine.wait_for_unit(ACCOUNTS)
    told = proxy.wait_for(token, 2, timeout=10)
    assert told[1].at > killed - 0.1
    # Well within the half second after which it would be in the book.
    assert killed - told[0].at < 0.3


def test_an_impostor_gets_no_tokens(lab: Lab, relay: Relay, alice: Person, bob: Person) -> None:
    """Only the operator's proxy gets tokens, and its certificate is verified."""
    [token] = register(bob)
    with push_proxy(lab, trusted=False) as impostor:
        bob.wait_for(write(alice, bob))
        time.sleep(QUIET_SECONDS)
        assert impostor.told == []
    with push_proxy(lab) as proxy:
        proxy.wait_for(token, timeout=90)


def test_the_journal_contains_no_token(
    proxy: PushProxy, alice: Person, bob: Person, relay: Relay
) -> None:
    """With a token and the proxy, anyone could wake the phone."""
    cursor = relay.machine.cursor()
    [token] = register(bob)
    with proxy.failing():
        write(alice, bob)
        proxy.wait_for(token)
    proxy.wait_for(token, 2)
    proxy.dead.add(token)
    write(alice, bob)
    wait_until(lambda: registered(bob) == "", "the token is forgotten", timeout=10)

    journal = relay.machine.run(["journalctl", "--no-pager", f"--after-cursor={cursor}"]).out
    assert "push: the proxy does not accept notifications (HTTP status 500)" in journal
    assert "openpgp:" not in journal
    assert bob.address.partition("@")[0] not in journal


def test_a_withdrawn_token_is_not_notified(proxy: PushProxy, alice: Person, bob: Person) -> None:
    """A client signs off by setting NIL."""
    [token] = register(bob)
    metadata(bob, "SETMETADATA INBOX (/private/devicetoken NIL)")
    assert registered(bob) == ""

    bob.wait_for(write(alice, bob))
    time.sleep(QUIET_SECONDS)

    assert proxy.count(token) == 0


def test_without_push_no_token_is_stored(lab: Lab, proxy: PushProxy) -> None:
    """The relay does not announce push; a client that tries anyway gets no error."""
    relay = lab.relay("_nopush.test", SETTINGS)
    before, sender = Person.on(relay), Person.on(relay)
    register(before)
    relay.reconfigure({**SETTINGS, "push": {"enable": False, "proxy": proxy.url}})
    later = Person.on(relay)

    with Dialogue.connect(relay.address, 993, insecure()) as imap:
        assert "XDELTAPUSH" not in imap.line()
    register(later)
    assert registered(before) == registered(later) == ""
    for person in (before, later):
        person.wait_for(write(sender, person))
    time.sleep(QUIET_SECONDS)
    assert proxy.told == []
