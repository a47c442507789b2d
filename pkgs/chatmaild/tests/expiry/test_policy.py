import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.config import Mailbox, Retention
from chatmaild.expiry import policy
from chatmaild.expiry.policy import Limits, Verdict

DAY = 86400
NOW = 1_795_000_000.0
LIMITS = Limits.of(
    Retention(mail_days=20, large_mail_days=7, large_mail_size=200_000, idle_account_days=90)
)


@pytest.mark.parametrize(
    ("size", "days", "verdict"),
    [
        (1, 0, Verdict.KEEP),
        (199_999, 19.99, Verdict.KEEP),
        (199_999, 20.01, Verdict.OLD),
        (200_000, 6.99, Verdict.KEEP),
        (200_000, 7.01, Verdict.LARGE),
        (200_000, 20.01, Verdict.OLD),
        (10**12, 0, Verdict.KEEP),
        (1, -5, Verdict.KEEP),
    ],
)
def test_judges_by_size_and_age(size: int, days: float, verdict: Verdict) -> None:
    """A message exactly at the limit stays; a large one expires earlier."""
    assert policy.judge(size, days * DAY, LIMITS) is verdict


@pytest.mark.parametrize(
    ("stamp", "changed", "came"),
    [
        (NOW - DAY, None, NOW - DAY),
        (NOW - DAY, NOW - 99 * DAY, NOW - DAY),  # APPEND with an old date
        (NOW - 30 * DAY, NOW, NOW - 30 * DAY),  # a copy that lost its time
        (None, NOW - 3, NOW - 3),  # a name that Dovecot did not write
        (12, NOW - 3, NOW - 3),  # a clock that started in 1970
        (7_743_102_289, NOW - 3, NOW - 3),  # a clock in 2215
        (12, 1, None),
        (None, None, None),
        (NOW + DAY / 2, None, NOW + DAY / 2),  # a clock set back by an hour or two
    ],
)
def test_the_file_name_determines_the_age(
    stamp: float | None, changed: float | None, came: float | None
) -> None:
    """Neither a backup nor a client can make a message younger or older."""
    assert policy.received(stamp, changed, NOW) == came


@pytest.mark.parametrize(
    ("internal_date", "counts"),
    [
        (None, NOW - DAY),
        (NOW - DAY + 5, NOW - DAY),  # a copy that lost its time, or APPEND with a future date
        (NOW + 99 * DAY, NOW - DAY),
        (NOW - 19 * DAY, NOW - 19 * DAY),  # COPY
        (86_400.0, NOW - DAY),  # a clock that started in 1970
    ],
)
def test_a_copy_is_as_old_as_its_original(internal_date: float | None, counts: float) -> None:
    """A copy has a new file name, and copying must not keep mail forever."""
    assert policy.since(NOW - DAY, internal_date) == counts


def test_an_unfinished_delivery_has_a_day() -> None:
    """No delivery takes that long, so none is disturbed."""
    assert not policy.is_leftover(DAY)
    assert policy.is_leftover(DAY + 1)


@given(st.integers(1, 10**12), st.integers(1, 10**6), st.integers(1, 99), st.data())
def test_a_trimmed_mailbox_needs_no_trimming(
    size: int, messages: int, start: int, data: st.DataObject
) -> None:
    """Otherwise every message would trigger it again."""
    mailbox = Mailbox(size, messages, start, data.draw(st.integers(0, start - 1)))
    many, much = policy.to_trim(messages, size, mailbox)

    assert not policy.needs_trimming(messages - many, size - much, mailbox)
    assert policy.to_trim(messages - many, size - much, mailbox) == (0, 0)
    assert policy.needs_trimming(messages, 0, mailbox)
    assert policy.needs_trimming(0, size, mailbox)


@pytest.mark.parametrize(
    ("messages", "size", "needed", "goes"),
    [
        (10, 74_999, False, (0, 4_999)),
        (10, 75_000, True, (0, 5_000)),
        (749, 10, False, (49, 0)),
        (750, 10, True, (50, 0)),
        (1001, 99_000, True, (301, 29_000)),
    ],
)
def test_either_the_bytes_or_the_number_triggers_trimming(
    messages: int, size: int, *, needed: bool, goes: tuple[int, int]
) -> None:
    """With limits of 100 kB and 1000 messages, 75 % of either is trimmed to 70 %."""
    mailbox = Mailbox(100_000, 1000, 75, 70)
    assert policy.needs_trimming(messages, size, mailbox) is needed
    assert policy.to_trim(messages, size, mailbox) == goes
