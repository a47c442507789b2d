"""The rate limiter: a burst passes at once, the rest at its rate, per account."""

import pytest

from chatmaild.service.ratelimit import RateLimit


@pytest.mark.parametrize("start", [0.0, 1e9])
def test_lets_the_first_burst_pass_and_not_one_more(start: float) -> None:
    """Clients send a handful of messages when they come online; more at once is a program."""
    limit = RateLimit(1, 10)

    waits = [limit.wait("alice", start) for _ in range(11)]

    assert waits[:10] == [0.0] * 10
    assert waits[10] == pytest.approx(1.0)


def test_refills_at_the_rate() -> None:
    """After the burst one message passes per interval, whatever was tried in between."""
    limit = RateLimit(2, 3)
    passed = sum(limit.wait("alice", tenth / 10) == 0 for tenth in range(600))

    assert passed == 3 + 29


def test_a_refused_message_does_not_lengthen_the_wait() -> None:
    """A client that retries too early must not lock itself out."""
    limit = RateLimit(1, 1)
    limit.wait("alice", 0)

    assert [limit.wait("alice", 0.5) for _ in range(5)] == [pytest.approx(0.5)] * 5
    assert limit.wait("alice", 1.0) == 0


def test_a_rested_account_has_no_more_than_its_burst() -> None:
    """Silence for a year does not save up a flood."""
    limit = RateLimit(1, 10)
    limit.wait("alice", 0)

    assert sum(limit.wait("alice", 1e7) == 0 for _ in range(50)) == 10


def test_accounts_do_not_share_a_budget() -> None:
    """An account cannot use up the budget of another."""
    limit = RateLimit(1, 1)
    limit.wait("alice", 0)

    assert limit.wait("bob", 0) == 0


def test_forgets_accounts_at_full_budget() -> None:
    """Memory follows who sends now, not who ever sent."""
    limit = RateLimit(1, 10)
    for number in range(20_000):
        limit.wait(f"account{number}", number / 10)

    assert len(limit) <= 11


def test_forgetting_never_refunds() -> None:
    """An account still in debt stays remembered while others come and go."""
    limit = RateLimit(1, 2)
    limit.wait("alice", 0)
    limit.wait("alice", 0)
    for number in range(3000):
        limit.wait(f"account{number}", 0.1)

    assert limit.wait("alice", 0.1) == pytest.approx(0.9)


def test_memory_is_limited() -> None:
    """If there are too many accounts, the one that was quiet for longest is forgotten."""
    limit = RateLimit(1, 1, max_keys=100)
    for number in range(1000):
        limit.wait(number, 0)

    assert len(limit) == 100
    assert [limit.peek(number, 0.5) for number in (0, 899, 900, 999)] == [0, 0, 0.5, 0.5]


def test_looking_counts_nothing() -> None:
    """But an event that has happened counts, even beyond the burst."""
    limit = RateLimit(10, 1)

    assert [limit.peek("all", 0) for _ in range(3)] == [0.0] * 3
    for _ in range(3):
        limit.take("all", 0)
    assert limit.peek("all", 0) == pytest.approx(30)
