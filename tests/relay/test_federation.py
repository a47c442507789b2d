"""Mail between relays and a classic mail server, also while one of them is down."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from deltachat_rpc_client import EventType

from harness import deltachat
from harness.deltachat import await_event, await_message
from harness.process import wait_until
from harness.stranger import MailServer
from people import messages
from people.people import Person

if TYPE_CHECKING:
    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(240)

# One queue run and one backoff (modules/relay/postfix.nix), and the time to boot.
DRAINED_SECONDS = 60

SELECTORS = ("opendkim", "ed25519")


@pytest.fixture(scope="module")
def far(lab: Lab) -> Relay:
    """Another relay, with a publicly trusted certificate."""
    return lab.relay("far.test")


def queue(relay: Relay) -> list[dict[str, object]]:
    """Return the messages in a relay's queue (postqueue(1), -j)."""
    return [json.loads(line) for line in relay.machine.run(["postqueue", "-j"]).out.splitlines()]


def test_users_of_two_relays_meet_and_talk(core: deltachat.Core, near: Relay, far: Relay) -> None:
    """They use Securejoin, write an encrypted message each way, and get a read receipt."""
    alice, bob = core.account(near, "Alice"), core.account(far, "Bob")
    bob.secure_join(alice.get_qr_code())
    await_event(alice, EventType.SECUREJOIN_INVITER_PROGRESS, lambda event: event.progress == 1000)
    await_event(bob, EventType.SECUREJOIN_JOINER_PROGRESS, lambda event: event.progress == 1000)

    sent = bob.create_chat(alice).send_text("Hello from afar")
    received = await_message(alice, "Hello from afar")
    assert received.get_snapshot().show_padlock
    received.get_snapshot().chat.accept()
    received.mark_seen()
    await_event(bob, EventType.MSG_READ, lambda event: event.msg_id == sent.id)

    alice.create_chat(bob).send_text("Hello back")
    assert await_message(bob, "Hello back").get_snapshot().show_padlock


def test_a_group_spans_three_relays(
    core: deltachat.Core, near: Relay, far: Relay, third: Relay
) -> None:
    """A message reaches users on three relays, and each of them answers all others."""
    alice, bob, carol = (
        core.account(relay, name)
        for relay, name in ((near, "Alice"), (far, "Bob"), (third, "Carol"))
    )
    group = alice.create_group("Far and wide")
    for member in (bob, carol):
        group.add_contact(alice.create_contact(member))
    group.send_text("Welcome")
    chats = {}
    for member in (bob, carol):
        received = await_message(member, "Welcome").get_snapshot()
        assert received.show_padlock
        received.chat.accept()
        chats[member.id] = received.chat
    for member, others in ((bob, (alice, carol)), (carol, (alice, bob))):
        answer = f"Thank you from {member.get_config('displayname')}"
        chats[member.id].send_text(answer)
        for other in others:
            assert await_message(other, answer).get_snapshot().show_padlock


def test_a_user_with_two_relays_gets_each_message_once(
    core: deltachat.Core, near: Relay, far: Relay
) -> None:
    """Clients keep a spare address on another relay, and show a message from both only once."""
    alice, bob = core.account(near, "Alice"), core.account(near, "Bob")
    bob.add_or_update_transport(deltachat.login(far, *far.credentials()))
    bob.bring_online()
    bob.create_chat(alice).send_text("I have two addresses now")
    received = await_message(alice, "I have two addresses now").get_snapshot()
    received.chat.accept()

    received.chat.send_text("Good to know")
    received.chat.send_text("End")

    await_message(bob, "Good to know")
    await_message(bob, "End")
    texts = [message.get_snapshot().text for message in bob.create_chat(alice).get_messages()]
    assert texts.count("Good to know") == 1


def test_each_of_many_recipients_gets_one_copy(
    near: Relay, far: Relay, third: Relay, classic: MailServer
) -> None:
    """A submission with fifteen recipients on several relays becomes one copy for each."""
    sender = Person.on(near)
    people = [Person.on(relay) for relay in (near, far, third) for _ in range(4)]
    elsewhere = [f"someone{number}@{classic.domain}" for number in range(3)]
    message = messages.encrypted(sender.address, people[0].address)
    sender.send(message, *(person.address for person in people), *elsewhere)
    last = messages.encrypted(sender.address, people[0].address)
    sender.send(last, *(person.address for person in people))

    for person in people:
        assert list(person.inbox_after(last)) == [messages.id_of(message)]
    classic.wait_for(messages.id_of(message))

    def copies() -> list[bytes]:
        return [one for one in classic.received() if messages.id_of(message).encode() in one]

    # There may be one delivery with three recipients or three deliveries, but each copy arrives
    # once.
    wait_until(lambda: len(copies()) >= len(elsewhere), "three copies", timeout=20)
    named = [messages.header(one, "X-Original-To") for one in copies()]
    assert sorted(named) == sorted([name] for name in elsewhere)


def test_a_relay_that_was_down_misses_nothing(lab: Lab, near: Relay, far: Relay) -> None:
    """Its mail arrives within a minute of its return, and other mail is not delayed."""
    alice, bob, carol = Person.on(near), Person.on(far), Person.on(near)
    far.machine.poweroff()
    waiting = [messages.encrypted(alice.address, bob.address) for _ in range(5)]
    for message in waiting:
        # The same submission goes to a user on the relay that is down and to a local user.
        began = time.monotonic()
        alice.send(message, bob.address, carol.address)
        carol.wait_for(message, seconds=5)
        assert time.monotonic() - began < 5
    wait_until(
        lambda: len(queue(near)) == 5 and {q["queue_name"] for q in queue(near)} == {"deferred"},
        "five messages deferred",
        timeout=40,
    )
    elsewhere = messages.encrypted(alice.address, carol.address)
    alice.send(elsewhere, carol.address)
    carol.wait_for(elsewhere, seconds=5)

    far.machine.start()
    far.wait_ready()
    returned = time.monotonic()
    for message in waiting:
        bob.wait_for(message, seconds=DRAINED_SECONDS)
    assert time.monotonic() - returned < DRAINED_SECONDS

    wait_until(lambda: not queue(near), "the queue is empty", timeout=10)
    assert len(bob.inbox()) == len(waiting)


def test_a_classic_server_and_a_relay_exchange_mail(near: Relay, classic: MailServer) -> None:
    """Ordinary mail signed by OpenDKIM comes in, and encrypted mail goes out."""
    alice = Person.on(near)
    there = f"someone@{classic.domain}"
    answer = messages.cleartext(there, alice.address)
    classic.send(answer, there, alice.address)
    alice.wait_for(answer)

    message = messages.encrypted(alice.address, there)
    alice.send(message, there)
    stored = classic.wait_for(messages.id_of(message))
    assert b"DKIM-Signature" in stored


# docs/wire.md, "What is changed": core reads these fields before it downloads a message.
FETCHED_FIRST = (
    "Message-ID: <prefetched@{domain}>",
    "Date: Sat, 21 Nov 2026 04:00:00 +0000",
    "X-Microsoft-Original-Message-ID: <original@{domain}>",
    "Chat-Version: 1.0",
    "Chat-Is-Post-Message: 1",
    "List-ID: <list.{domain}>",
    "In-Reply-To: <before@{domain}>",
    "References: <before@{domain}>",
)
# Fields that OpenDKIM does not sign, and clients act on.
UNSIGNED = (
    "Secure-Join: vc-request",
    "Autocrypt-Setup-Message: v1",
    "Chat-Group-ID: abcdefgh",
    "Autocrypt: addr=x; keydata=AAAA",
)
TRANSPORT = (
    "DKIM-Signature: v=1; a=rsa-sha256; d=elsewhere.test; s=x; h=from; bh=AAAA; b=AAAA",
    "Authentication-Results: mx.elsewhere.test; dkim=pass header.d=bank.test",
    "ARC-Seal: i=1; a=rsa-sha256; d=elsewhere.test; s=x; cv=none; b=AAAA",
    "ARC-Authentication-Results: i=1; mx.elsewhere.test; dkim=pass",
    "Received: from laptop (laptop.lan [203.0.113.7]) by mx.elsewhere.test",
    "Received-SPF: pass client-ip=203.0.113.7",
    "X-Spam-Status: No, score=-1",
    "X-Received: by 203.0.113.8",
    "Delivered-To: somebody@elsewhere.test",
)


def test_the_mailbox_has_only_the_fields_that_clients_read(
    near: Relay, classic: MailServer
) -> None:
    """Signatures, verdicts and traces are removed; fields that clients fetch first stay."""
    alice = Person.on(near)
    sender = f"someone@{classic.domain}"
    wanted = [line.format(domain=classic.domain) for line in FETCHED_FIRST]
    message = messages.encrypted(sender, alice.address)
    head, _, body = message.partition(b"\r\n\r\n")
    kept = [
        line
        for line in head.split(b"\r\n")
        if not line.startswith((b"Message-ID", b"Date", b"Chat-Version"))
    ]
    fields = [line.encode() for line in (*TRANSPORT, *UNSIGNED, *wanted)]
    classic.send(b"\r\n".join([*kept, *fields, b"", body]), sender, alice.address)

    stored = alice.wait_for(f"<prefetched@{classic.domain}>")

    for line in wanted:
        name, _, value = line.partition(": ")
        assert messages.header(stored, name) == [value]
    assert messages.header(stored, "From") == [f"<{sender}>"]
    assert messages.header(stored, "Content-Type")[0].startswith("multipart/encrypted")
    for line in (*TRANSPORT, *UNSIGNED):
        assert not messages.header(stored, line.partition(":")[0])
    assert classic.machine.address.encode() not in stored.partition(b"\r\n\r\n")[0]
    assert messages.body(stored).rstrip() == body.rstrip()


@pytest.mark.parametrize("lost", [(), ("opendkim",), ("ed25519",), SELECTORS])
def test_either_of_two_signatures_is_accepted(lab: Lab, far: Relay, lost: tuple[str, ...]) -> None:
    """Each server verifies the signature that it supports, RSA or Ed25519 (RFC 8463)."""
    two = lab.relay("edwards.test", {"dkim": {"ed25519": True}})
    alice, bob = Person.on(two), Person.on(far)
    zone = two.chatmail("dns").out.splitlines()
    for selector in lost:
        zone = [line for line in zone if not line.startswith(f"{selector}._domainkey.")]
    lab.dns.publish_zone_text(two.domain, "\n".join(zone) + "\n")
    # Its resolver caches keys.
    far.machine.run(["systemctl", "restart", "unbound"])
    message = messages.encrypted(alice.address, bob.address)
    alice.send(message, bob.address)

    if lost == SELECTORS:
        assert b"No valid DKIM signature" in alice.wait_for_any()
    else:
        bob.wait_for(message)
