"""A queue that moves, waits for other servers, or is stuck."""

import pytest

from chatmaild.health.checks import Check
from chatmaild.health.queue import judge
from chatmaild.postfix.queue import QueuedMessage, Recipient

NOW = 1_763_800_000
REFUSED = "connect to mx.far.test[192.0.2.9]:25: Connection refused"
TIMED_OUT = "connect to mx.far.test[192.0.2.9]:25: Connection timed out"


def message(queue: str, age: int, *reasons: str, at: str = "far.test") -> QueuedMessage:
    """Make a message with a recipient for each reason."""
    recipients = tuple(Recipient(f"bob@{at}", reason) for reason in reasons)
    return QueuedMessage(queue, "4Xk2", NOW - age, 900, "alice@chat.test", recipients)


def judged(*messages: QueuedMessage, complete: bool = True) -> Check:
    """Judge the queue of chat.test."""
    return judge(list(messages), "chat.test", NOW, complete=complete)


def test_a_queue_that_moves_is_good() -> None:
    """It is empty, or its mail has just arrived."""
    assert judged() == Check("mail queue", "ok", "empty")
    assert judged(message("active", 2, "")).state == "ok"


def test_waiting_mail_is_reported_with_age_and_reason() -> None:
    """A threshold of a thousand messages once hid that the only peer was unreachable."""
    check = judged(
        message("deferred", 7300, TIMED_OUT), message("deferred", 60, REFUSED, TIMED_OUT)
    )
    assert check.state == "note"
    assert check.text == f"2 messages wait, the oldest for 2 h; most often: {TIMED_OUT}"
    assert "chatmail queue" in check.remedy


@pytest.mark.parametrize("queue", ["incoming", "active", "maildrop"])
def test_a_queue_that_does_not_move_is_stuck(queue: str) -> None:
    """No delivery was tried, so there is no reason either."""
    assert judged(message(queue, 601, "")).state == "wrong"


def test_local_mail_never_waits() -> None:
    """Dovecot is on the same machine."""
    check = judged(message("deferred", 5, "connect to lmtp: refused", at="Chat.test"))
    assert check.state == "wrong"
    assert "own addresses" in check.text


def test_very_many_messages_are_a_fault() -> None:
    """Even if the listing had to stop before the end."""
    many = [message("deferred", 5, REFUSED)] * 1001
    check = judged(*many, complete=False)
    assert check.state == "wrong"
    assert check.text.startswith("more than 1001 messages wait")
