"""Everyday use of a relay with Delta Chat core: addresses, chats, files, devices."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltachat_rpc_client import EventType

from harness import deltachat
from harness.deltachat import await_event, await_message
from people.people import Person

if TYPE_CHECKING:
    from deltachat_rpc_client import Account, Chat

    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def chatter(core: deltachat.Core, relay: Relay) -> Account:
    """A user with a new address, online."""
    return core.account(relay, "Alice")


@pytest.fixture
def friend(core: deltachat.Core, relay: Relay) -> Account:
    """Another user."""
    return core.account(relay, "Bob")


def chat_between(chatter: Account, friend: Account) -> Chat:
    """Exchange contacts with keys by vCard, as users do; return the first user's chat."""
    friend.create_chat(chatter)
    return chatter.create_chat(friend)


def transport(account: Account) -> dict[str, Any]:
    """Return the only transport of an account, with address and password."""
    [only] = account.list_transports()
    return dict(only)


def owner(account: Account, relay: Relay) -> Person:
    """Return the owner of an account as a user who logs in by hand."""
    login = transport(account)
    return Person(relay, login["addr"], login["password"])


def remove_account(relay: Relay, address: str) -> None:
    """Delete an account from the book, as expiry does."""
    book = relay.value.daemons["paths"]["accountBook"]
    delete = f"DELETE FROM accounts WHERE address = '{address}'"  # noqa: S608 (an address of ours)
    relay.machine.run(["sqlite3", "-cmd", ".timeout 5000", book, delete], user="vmail")
    relay.machine.run(["doveadm", "auth", "cache", "flush", address])


def test_address_and_password_are_all_a_client_needs(core: deltachat.Core, relay: Relay) -> None:
    """Servers, ports and TLS modes come from autoconfig; the client guesses nothing."""
    address, password = relay.credentials()
    account = core.deltachat.add_account()
    account.add_or_update_transport(deltachat.login(relay, address, password))
    assert account.is_configured()
    used = str(account.get_info())
    assert f"{relay.domain}:993" in used, used
    assert f"{relay.domain}:465" in used, used


def test_an_invite_link_creates_an_address(core: deltachat.Core, relay: Relay) -> None:
    """The client posts to the link, and its first login creates the account."""
    account = core.deltachat.add_account()
    account.add_transport_from_qr(f"dcaccount:https://{relay.domain}/new")
    account.bring_online()
    address = transport(account)["addr"]
    name, _, domain = address.partition("@")
    assert domain == relay.domain
    assert len(name) == relay.value.daemons["accounts"]["nameMaxLength"]
    assert relay.machine.run(["doveadm", "user", address]).status == 0


def test_domain_alone_is_an_invite(core: deltachat.Core, relay: Relay) -> None:
    """Since core 2.23 this works without HTTP: the client chooses name and password itself."""
    account = core.deltachat.add_account()
    account.add_transport_from_qr(f"dcaccount:{relay.domain}")
    account.bring_online()
    assert transport(account)["addr"].endswith(f"@{relay.domain}")


def test_two_people_write_to_each_other_encrypted(chatter: Account, friend: Account) -> None:
    """Both directions work, and both messages show the padlock."""
    there = chat_between(chatter, friend)
    there.send_text("Hello Bob")
    message = await_message(friend, "Hello Bob").get_snapshot()
    assert message.show_padlock
    message.chat.send_text("Hello Alice")
    assert await_message(chatter, "Hello Alice").get_snapshot().show_padlock


def test_stored_mail_is_unreadable(chatter: Account, friend: Account, relay: Relay) -> None:
    """Neither text nor names nor subject are readable in the recipient's mailbox."""
    friend.stop_io()
    chat_between(chatter, friend).send_text(
        "a sentence that only Bob may read"
    ).wait_until_delivered()
    octets = owner(friend, relay).wait_for_any()
    assert b"multipart/encrypted" in octets
    for secret in (b"sentence", b"Alice", b"Bob"):
        assert secret not in octets


def test_three_people_talk_in_a_group(
    chatter: Account, friend: Account, core: deltachat.Core, relay: Relay
) -> None:
    """One message reaches both others, and a reply reaches everyone, who then have all keys."""
    third = core.account(relay, "Carol")
    group = chatter.create_group("Round table")
    for member in (friend, third):
        group.add_contact(chatter.create_contact(member))
    group.send_text("Welcome")
    for member in (friend, third):
        received = await_message(member, "Welcome").get_snapshot()
        assert received.show_padlock
        assert received.chat.get_basic_snapshot().name == "Round table"
        received.chat.accept()
        if member is friend:
            received.chat.send_text("Thank you")
    assert await_message(chatter, "Thank you").get_snapshot().show_padlock
    assert await_message(third, "Thank you").get_snapshot().show_padlock


def test_a_file_of_several_megabytes_arrives_unchanged(
    chatter: Account, friend: Account, tmp_path: Path
) -> None:
    """It travels encrypted, armored and split into lines."""
    original = tmp_path / "film.bin"
    original.write_bytes(os.urandom(6 * 1024 * 1024))
    chat_between(chatter, friend).send_message(file=str(original))
    # The client announces the beginning of a large message first and fetches the rest by itself.
    event = await_event(friend, EventType.INCOMING_MSG)
    message = friend.get_message_by_id(event.msg_id)
    while message.get_snapshot().download_state != "Done":
        await_event(friend, EventType.MSGS_CHANGED, lambda event: event.msg_id == message.id)
    assert Path(message.get_snapshot().file).read_bytes() == original.read_bytes()


def test_scanned_contact_can_be_written_to_encrypted(chatter: Account, friend: Account) -> None:
    """Securejoin: two users who never met scan a code and then have each other's keys."""
    friend.secure_join(chatter.get_qr_code())
    await_event(
        chatter, EventType.SECUREJOIN_INVITER_PROGRESS, lambda event: event.progress == 1000
    )
    await_event(friend, EventType.SECUREJOIN_JOINER_PROGRESS, lambda event: event.progress == 1000)
    contact = friend.get_contact_by_addr(transport(chatter)["addr"])
    assert contact is not None
    assert contact.get_snapshot().e2ee_avail
    contact.create_chat().send_text("We have met")
    assert await_message(chatter, "We have met").get_snapshot().show_padlock


def test_scanned_group_is_joined(chatter: Account, friend: Account) -> None:
    """Securejoin with a group: after scanning its code, a user is a member."""
    group = chatter.create_group("Open house")
    joined = friend.secure_join(group.get_qr_code())
    await_event(friend, EventType.SECUREJOIN_JOINER_PROGRESS, lambda event: event.progress == 1000)
    await_event(
        chatter, EventType.SECUREJOIN_INVITER_PROGRESS, lambda event: event.progress == 1000
    )
    group.send_text("Come in")
    received = await_message(friend, "Come in").get_snapshot()
    assert received.chat_id == joined.id
    assert received.show_padlock


def test_a_read_receipt_comes_back(chatter: Account, friend: Account) -> None:
    """A receipt is an encrypted message too; otherwise the relay would refuse it."""
    sent = chat_between(chatter, friend).send_text("Have you read this?")
    await_message(friend, "Have you read this?").mark_seen()
    await_event(chatter, EventType.MSG_READ, lambda event: event.msg_id == sent.id)


def test_second_device_sees_what_the_first_sends_and_receives(
    chatter: Account, friend: Account, core: deltachat.Core, tmp_path: Path
) -> None:
    """A profile moved by backup uses the same address, and both devices get all messages."""
    chatter.set_config("bcc_self", "1")
    chatter.stop_io()
    chatter.export_backup(tmp_path)
    [backup] = tmp_path.glob("*.tar")
    second = core.deltachat.add_account()
    second.import_backup(backup)
    for device in (chatter, second):
        device.bring_online()
    chat_between(friend, chatter).send_text("To all your devices")
    for device in (chatter, second):
        await_message(device, "To all your devices")
    sent = chat_between(chatter, friend).send_text("From my first device")
    await_message(friend, "From my first device")
    text = sent.get_snapshot().text

    def shows(event: Any) -> bool:
        return (
            bool(event.msg_id)
            and second.get_message_by_id(event.msg_id).get_snapshot().text == text
        )

    await_event(second, EventType.MSGS_CHANGED, shows)


def test_client_shows_how_full_the_mailbox_is(chatter: Account, relay: Relay) -> None:
    """Users see the relay's limit on the client's connectivity page."""
    page = chatter.manager.rpc.get_connectivity_html(chatter.id)
    megabytes = relay.value.daemons["mailbox"]["maxSize"] // 1024**2
    assert f"{megabytes} MiB" in page, page


def test_received_message_leaves_the_relay(chatter: Account, friend: Account, relay: Relay) -> None:
    """With a single device, the client deletes fetched messages from the relay."""
    chat_between(chatter, friend).send_text("gone in a moment")
    await_message(friend, "gone in a moment")
    await_event(friend, EventType.IMAP_MESSAGE_DELETED)
    assert owner(friend, relay).inbox() == []


def test_message_to_an_address_that_is_gone_fails_visibly(
    chatter: Account, friend: Account, relay: Relay
) -> None:
    """The relay's bounce becomes an error at the message, so the sender does not wait in vain."""
    # By default core hides unencrypted messages, including bounces (chatmail/core#8220).
    chatter.set_config("force_encryption", "0")
    gone = transport(friend)["addr"]
    chat = chat_between(chatter, friend)
    friend.stop_io()
    remove_account(relay, gone)
    sent = chat.send_text("Are you there?")
    await_event(chatter, EventType.MSG_FAILED, lambda event: event.msg_id == sent.id)
    assert gone in str(sent.get_snapshot().error)
