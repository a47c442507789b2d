"""Each reply is one safe line that Postfix and every client accept."""

import re

import pytest

from chatmaild.filter import replies
from chatmaild.filter.replies import Reply

HOSTILE = "a\r\n250 ok\0\x1b[31m\u202e%s" + "x" * 5000
FIXED = [value for value in vars(replies).values() if isinstance(value, Reply)]
QUOTING = [
    replies.not_owner(HOSTILE, HOSTILE),
    replies.not_owner("", ""),
    replies.from_mismatch(HOSTILE, HOSTILE),
    replies.literal_mismatch(HOSTILE, HOSTILE),
    replies.rate_limited(HOSTILE, "12:00:00", 1),
    replies.invalid_from("why"),
    replies.unparsable("why"),
    replies.too_many_recipients(1000),
]


@pytest.mark.parametrize("reply", [*FIXED, *QUOTING], ids=lambda reply: reply.reason)
def test_every_reply_is_one_printable_line(reply: Reply) -> None:
    """RFC 5321 4.5.3.1.5: 512 octets. With a line end a peer could write replies of its own."""
    assert re.fullmatch(r"[45][0-9]{2} [ -~]{1,500}", str(reply))


@pytest.mark.parametrize("reply", [*FIXED, *QUOTING], ids=lambda reply: reply.reason)
def test_an_enhanced_code_agrees_with_its_reply(reply: Reply) -> None:
    """RFC 3463 2: Postfix treats a contradiction as an error of the filter."""
    enhanced = re.match(r"([245])\.[0-9]+\.[0-9]+", reply.text)

    assert enhanced is None or enhanced[1] == reply.code[0]


def test_what_may_pass_later_is_temporary() -> None:
    """Clients report a 5xx to the user as a failed message, and retry a 4xx automatically."""
    later = [
        replies.rate_limited("a@b.example", "12:00:00", 1),
        replies.too_many_recipients(1),
        replies.DKIM_KEY_UNAVAILABLE,
        replies.INTERNAL_ERROR,
    ]

    assert [reply.code[0] for reply in later] == ["4"] * 4


def test_the_rate_limit_says_until_when() -> None:
    """It uses the words that test suites match, and the waiting time for the user."""
    assert str(replies.rate_limited("a@b.example", "12:00:09", 9)) == (
        "450 4.7.1: Too much mail from <a@b.example>, rate limited until 12:00:09 UTC (in 9 s)"
    )
