"""The echo bot keeps nothing of its users; tested with real core and a shortened period."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness import evidence
from harness.deltachat import await_message
from harness.process import wait_until
from people.website import shown_invite

if TYPE_CHECKING:
    from harness.deltachat import Core
    from harness.lab import Lab
    from harness.relay import Relay

pytestmark = pytest.mark.timeout(180)

# The bot in its own unit and sandbox; only its period of one hour is shorter.
SOON = """
from chatmaild.echo import bot
bot.FORGET_SECONDS = 8
from chatmaild.echo import daemon
raise SystemExit(daemon.main())
"""
SOON_PATH = "/usr/local/lib/echo-soon.py"
SOON_UNIT = "/run/systemd/system/chatmail-echo.service.d/soon.conf"
DATABASE = "/var/lib/chatmail-echo/accounts/*/dc.db"
# Core has its own chats and contacts up to number 9. A deleted message remains as a number without
# text in chat 3, which core cleans up later.
KEPT = """
import glob, json, sqlite3, sys
[path] = glob.glob(sys.argv[1])
book = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
rows = lambda query: book.execute(query).fetchall()
print(json.dumps({
    "chats": rows("SELECT name FROM chats WHERE id > 9"),
    "contacts": rows("SELECT addr, authname FROM contacts WHERE id > 9"),
    "messages": rows("SELECT txt FROM msgs WHERE id > 9 AND (chat_id > 9 OR txt != '')"),
}))
"""
NOTHING: dict[str, list[Any]] = {"chats": [], "contacts": [], "messages": []}


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Relay:
    """A relay whose bot forgets within seconds."""
    relay = lab.relay("_forgets.test", {"echo": {"enable": True}})
    relay.machine.write(SOON_PATH, SOON)
    start = f"/usr/bin/python3 {SOON_PATH} --config /etc/chatmail/chatmaild.json"
    relay.machine.write(SOON_UNIT, f"[Service]\nExecStart=\nExecStart={start}\n")
    relay.machine.run(
        "systemctl daemon-reload && systemctl restart chatmail-echo.service", timeout=120
    )
    return relay


def kept(relay: Relay) -> dict[str, list[Any]]:
    """Return what core's database contains about other people."""
    found = relay.machine.run(["python3", "-c", KEPT, DATABASE]).out
    read: dict[str, list[Any]] = json.loads(found)
    return read


def test_forgets_chat_messages_and_contact_and_answers_again(relay: Relay, core: Core) -> None:
    """The contact that core creates before it knows a key once stayed forever."""
    evidence.attach("kept.json", lambda: json.dumps(kept(relay)))
    invite = wait_until(lambda: shown_invite(relay), "the invite of the bot", timeout=60)
    alice = core.account(relay, "Alice")
    address = alice.get_config("configured_addr")
    chat = alice.secure_join(invite)
    alice.wait_for_securejoin_joiner_success()
    for words in ("What will you remember?", "And again?"):
        chat.send_text(words)
        await_message(alice, words)

        known = kept(relay)
        assert known["chats"] == [["Alice"]]
        assert [address, "Alice"] in known["contacts"]
        assert [words] in known["messages"]
        # The bot checks again after at most 30 s.
        wait_until(lambda: kept(relay) == NOTHING, "nothing in the database", timeout=60)
