"""Listing the queue with Postfix' output, and with slow or faulty programs."""

import json
import time
from pathlib import Path

import pytest

from chatmaild.postfix import queue
from chatmaild.postfix.queue import (
    Listing,
    QueuedMessage,
    QueueError,
    Recipient,
    parse,
    without_addresses,
)

# As Postfix 3.10 prints it.
LINE = (
    rb'{"queue_name": "deferred", "queue_id": "4dLh7g1Qtmz5vLl", "arrival_time": 1763800000,'
    rb' "message_size": 1234, "forced_expire": false, "sender": "alice@example.org", "recipients":'
    rb' [{"address": "bob@example.net", "delay_reason": "connect to mx[192.0.2.9]:25: \u00e9"},'
    rb' {"address": "carol@example.net"}]}'
)


def script(directory: Path, text: str) -> Path:
    """Write a program that replaces postqueue."""
    path = directory / "postqueue"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def printing(directory: Path, content: bytes, after: str = "") -> Path:
    """Write a program that prints this text."""
    (directory / "queue").write_bytes(content)
    return script(directory, f'test "$1" = -j && cat {directory}/queue\n{after}')


def test_reads_what_postfix_prints() -> None:
    """Each recipient has its own reason, if there was an attempt."""
    assert parse(LINE) == QueuedMessage(
        "deferred",
        "4dLh7g1Qtmz5vLl",
        1763800000,
        1234,
        "alice@example.org",
        (
            Recipient("bob@example.net", "connect to mx[192.0.2.9]:25: é"),
            Recipient("carol@example.net", ""),
        ),
    )


@pytest.mark.parametrize(
    "line",
    [b"", b"mail system is down", b"[]", b"{}", LINE[:-3], LINE.replace(b"1234", b'"x"')],
)
def test_counts_entries_that_it_cannot_parse(line: bytes) -> None:
    """A future format must not hide that mail is waiting."""
    assert parse(line).queue == "unknown"


def test_accepts_text_that_is_not_utf_8() -> None:
    """A reason is text from a stranger's server."""
    reason = parse(LINE.replace(rb"\u00e9", b"\xff")).recipients[0].reason
    assert reason.endswith("\ufffd")


def test_lists_the_whole_queue(tmp_path: Path) -> None:
    """The list may arrive in many chunks, or be empty."""
    listing = Listing(printing(tmp_path, (LINE + b"\n") * 3000))
    assert sum(1 for _ in listing) == 3000
    assert listing.complete
    empty = Listing(script(tmp_path, "exit 0"))
    assert list(empty) == []
    assert empty.complete


def test_reports_that_postfix_is_down(tmp_path: Path) -> None:
    """`postqueue` says why; a missing program is named."""
    down = script(tmp_path, "echo 'postqueue: fatal: mail system is down' >&2; exit 69")
    with pytest.raises(QueueError, match=r"^postqueue: fatal: mail system is down$"):
        list(Listing(down))
    with pytest.raises(QueueError, match="missing` cannot be run: No such file"):
        list(Listing(tmp_path / "missing"))


def test_an_endless_queue_is_not_read_completely(tmp_path: Path) -> None:
    """No one wants to wait for a list of a million messages."""
    endless = script(tmp_path, f"while :; do echo '{LINE.decode()}'; done")
    listing = Listing(endless, most=500)

    assert sum(1 for _ in listing) == 500
    assert not listing.complete


def test_a_list_exactly_at_the_limit_is_complete(tmp_path: Path) -> None:
    """The limit is reported only if there is more."""
    listing = Listing(printing(tmp_path, (LINE + b"\n") * 5), most=5)

    assert sum(1 for _ in listing) == 5
    assert listing.complete


def test_does_not_wait_for_a_slow_queue(tmp_path: Path) -> None:
    """Entries that arrived in time are listed."""
    listing = Listing(printing(tmp_path, LINE + b"\n", "exec sleep 60"), seconds=0.5)
    started = time.monotonic()

    assert [message.queue for message in listing] == ["deferred"]
    assert not listing.complete
    assert time.monotonic() - started < 10


def test_a_frozen_postfix_is_not_an_empty_queue(tmp_path: Path) -> None:
    """`postqueue` then waits for a master that never answers."""
    with pytest.raises(QueueError, match=r"does not list its queue within 0\.2 s"):
        list(Listing(script(tmp_path, "exec sleep 60"), seconds=0.2))


def test_an_endless_line_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is limited, whatever the program prints."""
    monkeypatch.setattr(queue, "MAX_LINE_BYTES", 100_000)
    with pytest.raises(QueueError, match="a line that does not end"):
        list(Listing(script(tmp_path, "exec cat /dev/zero")))


def test_a_consumer_may_stop_early(tmp_path: Path) -> None:
    """The program is then terminated."""
    for message in Listing(script(tmp_path, f"while :; do echo '{LINE.decode()}'; done")):
        assert json.dumps(message.id)
        break


def test_no_address_is_in_a_reason() -> None:
    """Status is pasted into chats when somebody asks for help."""
    said = (
        "delivery temporarily suspended: host mx[192.0.2.9] said: 450 <bob.x@far.test>: no"
        " (in reply to RCPT TO command)"
    )
    assert without_addresses(said) == (
        "host mx[192.0.2.9] said: 450 <…>: no (in reply to RCPT TO command)"
    )
