"""Every released core with the newest one, on two relays: joins, messages, files, groups."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness.cores import releases
from interop.table import Row
from people.cores import Core, Profile, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.cores import Release
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(300)

# Large enough that newer cores announce the message first and send the file separately.
FILE_OCTETS = 300_000
ROLES = ("joiner", "inviter")
NEWEST = releases()[-1].version


@dataclass(frozen=True)
class Trio:
    """Two users of one core, who join by links of a third with another core on another relay."""

    joiner: Profile
    second: Profile
    inviter: Profile


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Core]]:
    """Other cores by version; each is started when it is first needed."""
    known = {release.version: release for release in releases()}
    started: dict[str, Core] = {}
    with ExitStack() as stack:

        def peer(version: str) -> Core:
            if version not in started:
                place = tmp_path_factory.mktemp(version)
                started[version] = stack.enter_context(running(known[version], place))
            return started[version]

        yield peer


@pytest.fixture
def other(release: Release, tmp_path: Path) -> Iterator[Core]:
    """The core under test."""
    with running(release, tmp_path) as core:
        yield core


@pytest.fixture
def trio(
    role: str,
    release: Release,
    other: Core,
    peers: Callable[[str], Core],
    relay: Relay,
    strict_relay: Relay,
) -> Iterator[Trio]:
    """Online users: those of the core under test on one relay, the others on a strict one."""
    old, new = (other, relay), (peers(release.peer or NEWEST), strict_relay)
    joining, inviting = (old, new) if role == "joiner" else (new, old)
    places = [(*joining, "Joiner"), (*joining, "Second"), (*inviting, "Inviter")]
    with ThreadPoolExecutor() as pool:
        everybody = list(pool.map(lambda place: Profile.on(*place), places))
    yield Trio(*everybody)
    for person in everybody:
        person.remove()


def write(sender: Profile, reader: Profile, text: str) -> None:
    """Write to a contact, and check that the message arrives encrypted."""
    sender.send(sender.chat_with(reader), text)
    assert reader.await_text(text).content["showPadlock"]


def write_and_have_it_read(sender: Profile, reader: Profile) -> None:
    """Write to a contact, and wait until the message was read."""
    number = sender.send(sender.chat_with(reader), "Read me")
    reader.mark_seen(reader.await_text("Read me"))
    sender.await_receipt(number)


def write_to_group(sender: Profile, chat: int, text: str, *readers: Profile) -> list[int]:
    """Write to a group; check that it arrives encrypted for all others, and return their chats."""
    sender.send(chat, text)
    messages = [reader.await_text(text) for reader in readers]
    assert all(message.content["showPadlock"] for message in messages)
    return [message.chat for message in messages]


@pytest.mark.parametrize("role", ROLES)
def test_core(
    role: str, release: Release, trio: Trio, tried: Callable[[Row], None], tmp_path: Path
) -> None:
    """The usual actions between users, whichever of them has the older client."""
    joiner, second, inviter = trio.joiner, trio.second, trio.inviter
    program = f"Delta Chat core with {release.peer or NEWEST}"

    def now(deed: str) -> None:
        tried(Row(program, release.version, f"as {role}", deed))

    now("joins by an invite link")
    joiner.join(inviter.invite(), inviter)
    now("messages both ways")
    write(joiner, inviter, "Hello")
    write(inviter, joiner, "Hello back")
    now("read receipts both ways")
    write_and_have_it_read(joiner, inviter)
    write_and_have_it_read(inviter, joiner)
    now("files both ways")
    original = tmp_path / "picture.bin"
    original.write_bytes(os.urandom(FILE_OCTETS))
    for sender, reader in ((joiner, inviter), (inviter, joiner)):
        sender.send(sender.chat_with(reader), file=original)
        reader.await_file(original)
    now("a group of three, joined by an invite link")
    group = inviter.new_group("Round table", joiner)
    joined = second.join(inviter.invite(group), inviter)
    there, here = write_to_group(inviter, group, "Welcome", joiner, second)
    assert here == joined
    assert joiner.chat_name(there) == second.chat_name(here) == "Round table"
    joiner.call("accept_chat", there)
    write_to_group(joiner, there, "Thank you", inviter, second)
    write_to_group(second, here, "Me too", inviter, joiner)
