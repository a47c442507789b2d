"""
`chatmail-echo`: Delta Chat core as a client of its own relay, over loopback.

Its account is `echo@` and the relay's domain (echo.account). It does not verify certificates,
because its connections do not leave the host. It writes its invite link to a file for the website.
While the relay refuses the bot, the file is missing.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from queue import Empty
from typing import Any

from deltachat_rpc_client import Account, DeltaChat, EventType, JsonRpcError, Message, Rpc

from chatmaild.accounts.login import ECHO_NAME
from chatmaild.config import Config, ConfigError
from chatmaild.config import Echo as EchoConfig
from chatmaild.echo.account import AccountRefusedError, claim, password
from chatmaild.echo.backoff import Backoff
from chatmaild.echo.bot import FORGET_SECONDS, EchoPolicy, Received, forget_old
from chatmaild.echo.presence import Presence
from chatmaild.service import daemon, systemd
from chatmaild.service.counters import Counters

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
SETTINGS = {
    # Answers are marked as automatic, and the bot accepts chat requests from all strangers.
    "bot": "1",
    "displayname": "Echo",
    # No read receipts: the rate limit covers answers only.
    "mdns_enabled": "0",
    # There is only one device, so messages are deleted from the server once they are read.
    "bcc_self": "0",
    # Seconds.
    "delete_device_after": str(FORGET_SECONDS),
}
# The equivalent setting of cores before 2.5x; newer ones reject it.
OLD_SETTINGS = {"delete_server_after": "1"}
# Core's connectivity is below this when it is not connected and not about to connect.
CONNECTING = 2000
# The name in current core, and the number before core 2.0.
SINGLE = frozenset({"Single", 100})


class EchoError(Exception):
    """The bot cannot work; the message is one sentence for the operator."""


def main(arguments: list[str] | None = None) -> int:
    """Answer messages until stopped."""
    return daemon.run(
        "chatmail-echo",
        "Run the echo bot, which repeats every message it receives.",
        _work,
        (EchoError,),
        arguments,
    )


def _work(config: Config) -> None:
    if config.echo is None:
        raise ConfigError("the configuration has no echo bot (`echo`)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    environment = {**os.environ, "RUST_LOG": "error", "HOME": str(config.echo.state)}
    rpc = Rpc(
        str(config.echo.state / "accounts"),
        rpc_server_path=str(config.echo.server),
        env=environment,
        # Core's log contains addresses.
        stderr=subprocess.DEVNULL,
    )
    try:
        with rpc:
            _serve(config, config.echo, rpc)
    except JsonRpcError as error:
        raise EchoError(f"Delta Chat core: {_sentence(error)}") from None


def _serve(config: Config, echo: EchoConfig, rpc: Rpc) -> None:
    address = f"{ECHO_NAME}@{config.domain}"
    word = password(echo.state)
    account = _account(address, word, echo, DeltaChat(rpc))
    known = word if _address(account) == address else None
    presence = Presence(account, echo, config.website.site, known)
    presence.look()
    backoff = Backoff()
    systemd.notify("READY=1")
    log.info("ready")
    bot = EchoPolicy(config.sending.per_minute)
    counters = Counters()
    events = rpc.get_queue(account.id)
    swept = time.monotonic()
    _answer_new(account, bot, counters)  # messages from before the start
    while True:
        with contextlib.suppress(Empty):
            event = events.get(timeout=backoff.left())
            if event["kind"] == EventType.INCOMING_MSG:
                _answer_new(account, bot, counters)
            elif event["kind"] == EventType.CONNECTIVITY_CHANGED and _is_cut_off(rpc, account):
                backoff.hurry()
        if backoff.left():
            continue
        if rpc.process.poll() is not None:
            raise EchoError("Delta Chat core has ended")
        backoff.looked(changed=presence.look())
        if time.monotonic() - swept > FORGET_SECONDS:
            swept = time.monotonic()
            counters.add("forgotten_chats", count=forget_old(_chats(account), time.time()))
            log.info("%s", counters.report())


def _account(address: str, word: str, echo: EchoConfig, deltachat: DeltaChat) -> Account:
    """Return core's account of the bot, with whatever address; create it if there is none."""
    for account in deltachat.get_all_accounts():
        if account.is_configured():
            _configure(account)
            return account
        account.remove()  # of a login that failed
    try:
        claim(echo.socket, word)
    except AccountRefusedError as error:
        raise EchoError(f"the relay refuses the bot: {error}") from None
    account = deltachat.add_account()
    _configure(account)
    account.add_or_update_transport(
        {
            "addr": address,
            "password": word,
            "imapServer": LOOPBACK,
            "imapPort": 993,
            "imapSecurity": "ssl",
            "smtpServer": LOOPBACK,
            "smtpPort": 465,
            "smtpSecurity": "ssl",
            "certificateChecks": "acceptInvalidCertificates",
        }
    )
    return account


def _address(account: Account) -> str:
    return str(account.get_config("configured_addr") or "")


def _configure(account: Account) -> None:
    account.update_config(**SETTINGS)
    with contextlib.suppress(JsonRpcError):
        account.update_config(**OLD_SETTINGS)


def _is_cut_off(rpc: Rpc, account: Account) -> bool:
    """Return whether core cannot log in: the account may be blocked or deleted."""
    return int(rpc.get_connectivity(account.id)) < CONNECTING


def _answer_new(account: Account, bot: EchoPolicy, counters: Counters) -> None:
    for message in account.get_next_messages():
        # Recorded before the answer: a message that crashes this program must not do so twice.
        account.set_config("last_msg_id", str(message.id))
        counters.add("messages", "answered" if _answer(account, bot, message) else "silent")


def _answer(account: Account, bot: EchoPolicy, message: Message) -> bool:
    seen = message.get_snapshot()
    chat = account.get_chat_by_id(seen.chat_id)
    about = chat.get_basic_snapshot()
    text = bot.answer(
        Received(
            sender=seen.from_id,
            text=seen.text,
            encrypted=seen.show_padlock,
            from_bot=seen.is_bot,
            is_info=seen.is_info,
            one_to_one=about.chat_type in SINGLE,
        )
    )
    if text is not None:
        chat.send_text(text)
    return text is not None


class _Chat:
    def __init__(self, account: Account, chat: Any) -> None:
        self._account = account
        self._chat = chat

    def last_activity(self) -> float:
        messages = self._chat.get_messages()
        return float(messages[-1].get_snapshot().timestamp) if messages else 0.0

    def forget(self) -> None:
        contacts = self._chat.get_contacts()
        addresses = {contact.get_snapshot().address for contact in contacts}
        self._chat.delete()
        # For a sender who came by the invite, core has a second contact, for the address before it
        # had a key. It is in no list, but core returns it when asked to create it.
        contacts += [self._account.create_contact(address) for address in addresses]
        for contact in contacts:
            with contextlib.suppress(JsonRpcError):  # still in another chat
                contact.delete()


def _chats(account: Account) -> Iterator[_Chat]:
    for chat in account.get_chatlist():
        about = chat.get_basic_snapshot()
        if not about.is_self_talk and not about.is_device_chat:
            yield _Chat(account, chat)


def _sentence(error: JsonRpcError) -> str:
    about = error.args[0] if error.args else ""
    text = about.get("message", "") if isinstance(about, dict) else str(about)
    return " ".join(str(text).split())[:300] or "no word"
