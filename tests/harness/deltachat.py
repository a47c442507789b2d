"""
Delta Chat core as a client in the lab: online accounts, and the first messages of two users.

It needs deltachat-rpc-client and -server from the clients' environment, and must run among the
clients (`tests/lab run`), where the relays' names resolve.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

from deltachat_rpc_client import Account, AttrDict, DeltaChat, EventType, Message, Rpc

from harness.errors import DeadlineError
from harness.network import is_address
from harness.relay import Relay

# Core accepts any certificate only if configured so, except for domains that start with `_`.
ACCEPT_ANY_CERTIFICATE = "acceptInvalidCertificates"
EVENT_SECONDS = 60


class Core:
    """One running core with its accounts."""

    def __init__(self, deltachat: DeltaChat) -> None:
        self.deltachat = deltachat

    def account(self, relay: Relay, name: str = "") -> Account:
        """Return an online account that is new on the relay; its events so far are dropped."""
        address, password = relay.credentials()
        account = self.deltachat.add_account()
        if name:
            account.set_config("displayname", name)
        account.add_or_update_transport(login(relay, address, password))
        account.bring_online()
        return account

    def online(self, relay: Relay, count: int) -> list[Account]:
        """Return several online accounts."""
        return [self.account(relay) for _ in range(count)]


def address_of(account: Account) -> str:
    """Return the address of an account that has one."""
    address = account.get_config("configured_addr")
    assert address, "the account is not configured"
    return address


def login(relay: Relay, address: str, password: str) -> dict[str, Any]:
    """Return the parameters of a login; servers of a domain are found by autoconfig."""
    parameters = {"addr": address, "password": password}
    if is_address(relay.domain):
        parameters |= {"imapServer": relay.domain, "smtpServer": relay.domain}
    if not relay.domain.startswith("_"):
        parameters["certificateChecks"] = ACCEPT_ANY_CERTIFICATE
    return parameters


@contextmanager
def core(directory: Path) -> Iterator[Core]:
    """Run core with its accounts in `directory`; its log is `core.log` beside them."""
    server = Path(sys.executable).with_name("deltachat-rpc-server")
    with (directory / "core.log").open("ab") as log:
        environment = {**os.environ, "RUST_LOG": "info"}
        accounts = str(directory / "accounts")
        rpc = Rpc(accounts, rpc_server_path=str(server), env=environment, stderr=log)
        try:
            with rpc:
                yield Core(DeltaChat(rpc))
        finally:
            # The client leaves this open at its end.
            assert rpc.process.stdout
            rpc.process.stdout.close()
            rpc.process.wait(timeout=EVENT_SECONDS)


def await_event(
    account: Account,
    kind: EventType,
    wanted: Callable[[AttrDict], bool] = lambda _: True,
    seconds: float = EVENT_SECONDS,
) -> AttrDict:
    """
    Wait for the next event of a kind for which `wanted` is true; earlier events are dropped.

    Raises DeadlineError with the kinds and warnings that came instead.
    """
    queue = account.manager.rpc.get_queue(account.id)
    deadline = time.monotonic() + seconds
    seen: list[str] = []
    while True:
        try:
            event = AttrDict(queue.get(timeout=max(deadline - time.monotonic(), 0)))
        except Empty:
            came = "; ".join(seen[-30:]) or "nothing"
            raise DeadlineError(
                f"core: no {kind.value} within {seconds:g} s; there came: {came}"
            ) from None
        if event.kind == kind and wanted(event):
            return event
        if event.kind != EventType.INFO:
            seen.append(f"{event.kind} {event.get('msg', '')}".strip())


def await_message(account: Account, text: str, seconds: float = EVENT_SECONDS) -> Message:
    """Wait for an incoming message with this text."""

    def says(event: AttrDict) -> bool:
        return bool(account.get_message_by_id(event.msg_id).get_snapshot().text == text)

    event = await_event(account, EventType.INCOMING_MSG, says, seconds)
    return account.get_message_by_id(event.msg_id)


@dataclass(frozen=True)
class Exchange:
    """The time of an encrypted message from `send` to the other side's event, in seconds."""

    there: float
    back: float


def exchange(alice: Account, bob: Account) -> Exchange:
    """Let two online accounts write to each other; raises ValueError if it was not encrypted."""
    chat = alice.create_chat(bob)
    bob.create_chat(alice)
    return Exchange(
        there=_deliver(chat, bob, "Hello Bob"),
        back=_deliver(bob.create_chat(alice), alice, "Hello Alice"),
    )


def _deliver(chat: Any, to: Account, text: str) -> float:
    start = time.monotonic()
    chat.send_text(text)
    message = await_message(to, text)
    took = time.monotonic() - start
    if not message.get_snapshot().show_padlock:
        raise ValueError(f"the message {text!r} arrived without encryption")
    return took
