"""
Chat clients of any release: the actions of Delta Chat users in the JSON-RPC of each core.

deltachat-rpc-client supports only the core of its own release. The few methods used here have kept
their names and parameters from 1.139 to 2.65; differences are read from `--openrpc`.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness import cores, evidence
from harness.deltachat import ACCEPT_ANY_CERTIFICATE, login
from harness.errors import DeadlineError, LabError

if TYPE_CHECKING:
    from harness.cores import Release
    from harness.relay import Relay

Event = dict[str, Any]

EVENT_SECONDS = 60
CALL_SECONDS = 60
KEPT_EVENTS = 40
SELF = 1
"""The contact that stands for the account's owner."""
# Before this release, core makes no exception for domains that start with `_`.
FIRST_TO_TRUST_UNDERSCORES = (2, 46, 0)
# The same as ACCEPT_ANY_CERTIFICATE in the settings of cores before 1.159.
ACCEPT_ANY_CERTIFICATE_CODE = "3"


class Core:
    """One running core; several threads may use it."""

    def __init__(self, release: Release, directory: Path, log: IO[bytes]) -> None:
        """Start a release with its accounts in `directory`."""
        self.release = release
        program = cores.program(release)
        described = subprocess.run([program, "--openrpc"], capture_output=True, check=True)
        self.methods = {method["name"] for method in json.loads(described.stdout)["methods"]}
        self._process = subprocess.Popen(
            [program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "DC_ACCOUNTS_PATH": str(directory), "RUST_LOG": "info"},
        )
        self._numbers = itertools.count(1)
        self._writing = threading.Lock()
        self._answers: dict[int, Future[Any]] = {}
        self._events: dict[int, list[Event]] = {}
        self._came = threading.Condition()
        self._readers = [
            threading.Thread(target=target, daemon=True) for target in (self._read, self._pump)
        ]
        for reader in self._readers:
            reader.start()

    def close(self) -> None:
        """Stop the program and wait for it."""
        assert self._process.stdin
        assert self._process.stdout
        # A core ends at the end of its input.
        self._process.stdin.close()
        self._process.wait(timeout=CALL_SECONDS)
        for reader in self._readers:
            reader.join(timeout=CALL_SECONDS)
        self._process.stdout.close()

    def transcript(self) -> str:
        """Return every event so far, each on a line below its account."""
        lines: list[str] = []
        for account, events in self._events.items():
            lines.append(f"account {account}")
            lines += [json.dumps(event, ensure_ascii=False) for event in events]
        return "\n".join(lines)

    def call(self, method: str, *parameters: Any) -> Any:
        """Call a method; raise LabError with core's message if it fails."""
        return self._ask(method, *parameters).result(timeout=CALL_SECONDS)

    def _ask(self, method: str, *parameters: Any) -> Future[Any]:
        number = next(self._numbers)
        answer: Future[Any] = Future()
        self._answers[number] = answer
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
        assert self._process.stdin
        with self._writing:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        return answer

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            said = json.loads(line)
            answer = self._answers.pop(said.get("id"), None)
            if answer and "error" in said:
                answer.set_exception(LabError(f"core: {said['error']['message']}"))
            elif answer:
                answer.set_result(said.get("result"))
        for answer in self._answers.values():
            answer.set_exception(LabError("core has ended"))

    def _pump(self) -> None:
        """Read core's events and sort them by account."""
        while True:
            try:
                event = self._ask("get_next_event").result()
            except (LabError, BrokenPipeError, ValueError):  # the core ends, its input is closed
                return
            with self._came:
                self._events.setdefault(event["contextId"], []).append(event["event"])
                self._came.notify_all()

    def events(self, account: int, seen: int, seconds: float) -> list[Event]:
        """Return an account's events after the first `seen`, waiting for at least one."""
        with self._came:
            self._came.wait_for(lambda: len(self._events.get(account, ())) > seen, seconds)
            return self._events.get(account, [])[seen:]


@contextmanager
def running(release: Release, directory: Path) -> Iterator[Core]:
    """Run a release whose accounts are in `directory`, with its log in `core.log` beside them."""
    with (directory / "core.log").open("ab") as log:
        core = Core(release, directory / "accounts", log)
        evidence.attach(f"core-{release.version}.txt", core.transcript)
        try:
            yield core
        finally:
            core.close()


@dataclass
class Message:
    """A message as a profile sees it."""

    chat: int
    number: int
    content: dict[str, Any]


@dataclass
class Profile:
    """An account of a core, connected to a relay."""

    core: Core
    account: int
    name: str
    _seen: int = 0
    _contacts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def on(cls, core: Core, relay: Relay, name: str) -> Profile:
        """Create one with a new address and the client's defaults, and wait until it is online."""
        profile = cls(core, core.call("add_account"), name)
        parameters = login(relay, *relay.credentials())
        if core.release.order < FIRST_TO_TRUST_UNDERSCORES:
            parameters["certificateChecks"] = ACCEPT_ANY_CERTIFICATE
        profile.call("set_config", "displayname", name)
        if "add_or_update_transport" in core.methods:
            profile.call("add_or_update_transport", parameters)
        else:
            settings = {"addr": parameters["addr"], "mail_pw": parameters["password"]}
            checks = ("imap_certificate_checks", "smtp_certificate_checks")
            settings |= dict.fromkeys(checks, ACCEPT_ANY_CERTIFICATE_CODE)
            profile.call("batch_set_config", settings)
            profile.call("configure")
        profile.call("start_io")
        profile.await_event("ImapInboxIdle")
        return profile

    @property
    def address(self) -> str:
        """Its address."""
        return str(self.call("get_config", "configured_addr"))

    def remove(self) -> None:
        """Log out and forget the account."""
        self.core.call("remove_account", self.account)

    def call(self, method: str, *parameters: Any) -> Any:
        """Call a method for this account."""
        return self.core.call(method, self.account, *parameters)

    def await_event(
        self,
        kind: str,
        wanted: Callable[[Event], bool] = lambda _: True,
        seconds: float = EVENT_SECONDS,
    ) -> Event:
        """
        Wait for the next event of a kind for which `wanted` is true.

        Events before it are dropped. Raises DeadlineError with what came instead.
        """
        return self._await({kind}, wanted, f"no {kind}", seconds)

    def _await(
        self, kinds: set[str], wanted: Callable[[Event], bool], what: str, seconds: float
    ) -> Event:
        deadline = time.monotonic() + seconds
        came: list[str] = []
        while (left := deadline - time.monotonic()) > 0:
            for event in self.core.events(self.account, self._seen, left):
                self._seen += 1
                if event["kind"] in kinds and wanted(event):
                    return event
                if event["kind"] != "Info":
                    came.append(f"{event['kind']} {event.get('msg') or ''}".strip())
        shown = "; ".join(came[-KEPT_EVENTS:]) or "nothing"
        raise DeadlineError(f"{self.name}: {what} within {seconds:g} s; there came: {shown}")

    def chat_with(self, other: Profile) -> int:
        """Return the chat with a contact that was added by `join`."""
        return int(self.call("create_chat_by_contact_id", self._contacts[other.address]))

    def invite(self, group: int | None = None) -> str:
        """Return the link by which others join: this user, or one of the user's groups."""
        if "get_chat_securejoin_qr_code" in self.core.methods:
            return str(self.call("get_chat_securejoin_qr_code", group))
        return str(self.call("get_chat_securejoin_qr_code_svg", group)[0])

    def join(self, invite: str, inviter: Profile) -> int:
        """Follow a link, wait until both sides have finished, and return the chat."""
        chat = int(self.call("secure_join", invite))

        def finished(event: Event) -> bool:
            return bool(event["progress"] == 1000)

        met = inviter.await_event("SecurejoinInviterProgress", finished)
        inviter._contacts[self.address] = met["contactId"]
        met = self.await_event("SecurejoinJoinerProgress", finished)
        self._contacts[inviter.address] = met["contactId"]
        return chat

    def send(self, chat: int, text: str = "", file: Path | None = None) -> int:
        """Send a text or a file to a chat; return the message's number."""
        data = {"text": text} if file is None else {"file": str(file), "viewtype": "File"}
        return int(self.call("send_msg", chat, data))

    def await_text(self, text: str) -> Message:
        """Wait for an incoming message with this text."""
        return self._message(lambda content: content["text"] == text, f"no message {text!r}")

    def await_file(self, original: Path) -> Message:
        """Wait for an incoming file that is complete and has these octets."""
        octets = original.read_bytes()

        def same(content: dict[str, Any]) -> bool:
            path = content.get("file") or ""
            return bool(path) and Path(path).read_bytes() == octets

        return self._message(same, f"no file {original.name}")

    def _message(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> Message:
        found: list[Message] = []

        def is_it(event: Event) -> bool:
            number = event.get("msgId")
            if not number:
                return False
            try:
                content = self.call("get_message", number)
            except LabError:  # it was deleted meanwhile, as handshakes are
                return False
            if content["fromId"] == SELF or not wanted(content):
                return False
            found.append(Message(content["chatId"], number, content))
            return True

        self._await({"IncomingMsg", "MsgsChanged"}, is_it, what, EVENT_SECONDS)
        return found[0]

    def mark_seen(self, message: Message) -> None:
        """Read a message, which sends a receipt."""
        self.call("markseen_msgs", [message.number])

    def await_receipt(self, number: int) -> None:
        """Wait until the other side has read the message."""
        self.await_event("MsgRead", lambda event: event["msgId"] == number)

    def new_group(self, name: str, *members: Profile) -> int:
        """Create a group of known contacts."""
        group = int(self.call("create_group_chat", name, False))
        for member in members:
            self.call("add_contact_to_chat", group, self._contacts[member.address])
        return group

    def chat_name(self, chat: int) -> str:
        """Return the name of a chat."""
        return str(self.call("get_basic_chat_info", chat)["name"])
