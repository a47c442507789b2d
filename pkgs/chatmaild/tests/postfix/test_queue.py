"""Listing the queue with programs that are Postfix's, are slow, or are something else."""

import json
import time
from pathlib import Path

import pytest

from chatmaild.postfix import queue
from chatmaild.postfix.queue import Listing, Message, QueueError, Recipient, parse

# As Postfix 3.10 prints it.
LINE = (
    rb'{"queue_name": "deferred", "queue_id": "4dLh7g1Qtmz5vLl", "arrival_time": 1763800000,'
    rb' "message_size": 1234, "forced_expire": false, "sender": "alice@example.org", "recipients":'
    rb' [{"address": "bob@example.net", "delay_reason": "connect to mx[192.0.2.9]:25: \u00e9"},'
    rb' {"address": "carol@example.net"}]}'
)


def script(directory: Path, text: str) -> Path:
    """Write a program in place of postqueue."""
    path = directory / "postqueue"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def printing(directory: Path, content: bytes, after: str = "") -> Path:
    """Write a program that prints this."""
    (directory / "queue").write_bytes(content)
    return script(directory, f'test "$1" = -j && cat {directory}/queue\n{after}')


def test_reads_what_postfix_prints() -> None:
    """Each recipient with its own reason, if there was an attempt."""
    assert parse(LINE) == Message(
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
def test_counts_what_it_cannot_read(line: bytes) -> None:
    """A format of tomorrow must not hide that mail waits."""
    assert parse(line).queue == "unknown"


def test_takes_octets_that_are_not_utf_8() -> None:
    """A reason is text of a stranger's server."""
    reason = parse(LINE.replace(rb"\u00e9", b"\xff")).recipients[0].reason
    assert reason.endswith("\ufffd")


def test_lists_the_whole_queue(tmp_path: Path) -> None:
    """Also one of many pieces, and an empty one."""
    listing = Listing(printing(tmp_path, (LINE + b"\n") * 3000))
    assert sum(1 for _ in listing) == 3000
    assert listing.complete
    empty = Listing(script(tmp_path, "exit 0"))
    assert list(empty) == []
    assert empty.complete


def test_postfix_that_is_down_is_a_sentence_of_its_own(tmp_path: Path) -> None:
    """`postqueue` says why; a program that is not there is named."""
    down = script(tmp_path, "echo 'postqueue: fatal: mail system is down' >&2; exit 69")
    with pytest.raises(QueueError, match=r"^postqueue: fatal: mail system is down$"):
        list(Listing(down))
    with pytest.raises(QueueError, match="missing` cannot be run: No such file"):
        list(Listing(tmp_path / "missing"))


def test_a_queue_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    """Nobody waits for the listing of a million messages."""
    endless = script(tmp_path, f"while :; do echo '{LINE.decode()}'; done")
    listing = Listing(endless, most=500)

    assert sum(1 for _ in listing) == 500
    assert not listing.complete


def test_a_listing_of_just_the_bound_is_complete(tmp_path: Path) -> None:
    """The bound is said to be reached only if there is more."""
    listing = Listing(printing(tmp_path, (LINE + b"\n") * 5), most=5)

    assert sum(1 for _ in listing) == 5
    assert listing.complete


def test_a_queue_that_is_slow_is_not_waited_for(tmp_path: Path) -> None:
    """What came in time is listed."""
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
    """Memory has a bound, whatever the program prints."""
    monkeypatch.setattr(queue, "MAX_LINE_BYTES", 100_000)
    with pytest.raises(QueueError, match="a line that does not end"):
        list(Listing(script(tmp_path, "exec cat /dev/zero")))


def test_a_consumer_may_stop_early(tmp_path: Path) -> None:
    """The program is ended then."""
    for message in Listing(script(tmp_path, f"while :; do echo '{LINE.decode()}'; done")):
        assert json.dumps(message.id)
        break
