"""Waiting mail by destination, and the selection of messages."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatmaild.admin import queue
from chatmaild.admin.cli import main
from chatmaild.postfix import queue_control
from chatmaild.postfix.queue import Listing, QueuedMessage, QueueError, Recipient
from chatmaild.postfix.queue_control import Change

NOW = int(time.time())
TIMED_OUT = "connect to mx.dead.test[192.0.2.9]:25: Connection timed out"
BUSY = "host mx.busy.test[192.0.2.8] said: 450 <carol@busy.test>: busy (in reply to RCPT TO)"

DEAD = QueuedMessage(
    "deferred", "4aAAA", NOW - 7300, 900, "a@chat.test", (Recipient("bob@Dead.test", TIMED_OUT),)
)
BOTH = QueuedMessage(
    "deferred",
    "4bBBB",
    NOW - 1000,
    900,
    "a@chat.test",
    (Recipient("bob@dead.test", TIMED_OUT), Recipient("carol@busy.test", BUSY)),
)
HELD = QueuedMessage(
    "hold", "4cCCC", NOW - 50, 900, "a@chat.test", (Recipient("dan@busy.test", ""),)
)
MESSAGES = [DEAD, BOTH, HELD]


@pytest.fixture
def chatmail(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], int]:
    """Run `chatmail queue` with these messages waiting."""

    def listed(listing: Listing) -> Any:
        listing.complete = True
        return iter(MESSAGES)

    monkeypatch.setattr(Listing, "__iter__", listed)
    # Ages are counted from this moment, however long earlier tests took.
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(queue_control, "directory", lambda: tmp_path)
    monkeypatch.setattr(queue_control, "next_tries", lambda _: {"4aAAA": NOW + 200, "4cCCC": NOW})
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    return lambda line: main(["--config", str(path), "queue", *line.split()])


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Record what Postfix is asked to do."""
    noted: list[tuple[str, list[str]]] = []

    def change(what: Change, ids: list[str]) -> int:
        noted.append((what.value, ids))
        return len(ids)

    def retry(ids: list[str]) -> int:
        noted.append(("retry", ids))
        return len(ids)

    monkeypatch.setattr(queue_control, "change", change)
    monkeypatch.setattr(queue_control, "retry", retry)
    return noted


def test_lists_destinations(
    chatmail: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Count, age, next try and the most frequent reason of each, but no address."""
    assert chatmail("") == 0
    said = capsys.readouterr().out
    lines = [line.split(maxsplit=7) for line in said.splitlines()]
    assert lines[0][:2] == ["destination", "mail"]
    assert lines[1][:5] == ["busy.test", "2", "1", "16", "min"]
    assert BUSY.replace("carol@busy.test", "…") in said
    assert lines[2][:5] == ["dead.test", "2", "0", "2", "h"]
    assert lines[2][5] == "in"
    assert TIMED_OUT in said
    assert "@" not in said


def test_lists_for_programs(
    chatmail: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same facts, with times in seconds."""
    assert chatmail("--json") == 0
    _, dead = json.loads(capsys.readouterr().out)
    assert 190 <= dead.pop("next_try_seconds") <= 200
    assert 7300 <= dead.pop("oldest_seconds") <= 7310
    assert dead == {"destination": "dead.test", "messages": 2, "held": 0, "reason": TIMED_OUT}


def test_shows_messages_with_their_addresses(
    chatmail: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """By domain, by address or by ID; those who can name them may see them."""
    for what, ids in (
        ("DEAD.test", ["4aAAA", "4bBBB"]),
        ("carol@busy.test", ["4bBBB"]),
        ("4cCCC", ["4cCCC"]),
    ):
        assert chatmail(f"show {what} --json") == 0
        shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [one["id"] for one in shown] == ids
    assert chatmail("show 4bBBB nothing.test") == 1
    said = capsys.readouterr()
    assert f"  to   carol@busy.test\n       {BUSY}\n" in said.out
    assert said.err == "chatmail queue: no mail is waiting for nothing.test\n"


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("retry dead.test", [("retry", ["4aAAA", "4bBBB"])]),
        ("release busy.test", [("release", ["4bBBB", "4cCCC"])]),
        ("drop dead.test", [("drop", ["4aAAA"])]),
        ("drop 4bBBB", [("drop", ["4bBBB"])]),
        ("hold bob@dead.test 4cCCC", [("hold", ["4aAAA"]), ("hold", ["4cCCC"])]),
        ("bounce dead.test", [("bounce", ["4aAAA"]), ("retry", ["4aAAA"])]),
    ],
)
def test_changes_what_is_meant_and_nothing_else(
    chatmail: Callable[[str], int],
    changes: list[tuple[str, list[str]]],
    capsys: pytest.CaptureFixture[str],
    line: str,
    asked: list[tuple[str, list[str]]],
) -> None:
    """A message with other recipients is not dropped together with a dead destination."""
    assert chatmail(line) == 0
    assert changes == asked
    said = capsys.readouterr()
    assert queue.DONE[line.split(maxsplit=1)[0]] in said.out
    assert ("give their IDs: 4bBBB" in said.err) == ("dead.test" in line and "retry" not in line)


def test_only_root_changes_mail(
    chatmail: Callable[[str], int],
    changes: list[tuple[str, list[str]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Postfix would refuse with a longer sentence."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert chatmail("drop dead.test") == 1
    assert capsys.readouterr().err == "chatmail queue: only root may do that\n"
    assert changes == []


def test_an_empty_queue_is_a_sentence(
    chatmail: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """For programs it is an empty list."""
    monkeypatch.setattr(Listing, "__iter__", lambda _: iter([]))
    assert chatmail("") == 0
    assert capsys.readouterr().out == "no mail is waiting\n"
    assert chatmail("--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_counts_what_postfix_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message may be delivered between listing and change."""
    program = tmp_path / "postsuper"
    program.write_text(
        '#!/bin/sh\ntest "$*" = "-d -" || exit 1\ncat >/dev/null\n'
        "echo 'postsuper: 4aAAA: removed' >&2\necho 'postsuper: Deleted: 1 message' >&2\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert queue_control.change(Change.DROP, ["4aAAA", "4bBBB"]) == 1
    with pytest.raises(QueueError, match="`postsuper` failed"):
        queue_control.change(Change.HOLD, ["4aAAA"])


def test_finds_when_messages_are_tried_again(tmp_path: Path) -> None:
    """Postfix stores the time as that of the file."""
    folder = tmp_path / "deferred" / "4"
    folder.mkdir(parents=True)
    (folder / "4aAAA").touch()
    [(name, moment)] = queue_control.next_tries(tmp_path).items()
    assert name == "4aAAA"
    assert abs(moment - time.time()) < 100
    assert queue_control.next_tries(tmp_path / "nothing") == {}
