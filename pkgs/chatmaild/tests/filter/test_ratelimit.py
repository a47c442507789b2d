"""An account's burst passes at once, the rest at its rate, and nobody else's budget is touched."""

import pytest

from chatmaild.filter.ratelimit import SWEEP_MINIMUM, RateLimit


@pytest.mark.parametrize("start", [0.0, 1e9])
def test_lets_the_first_burst_pass_and_not_one_more(start: float) -> None:
    """Clients send a handful of messages when they come online; more at once is a program."""
    limit = RateLimit(per_minute=60, burst=10)

    waits = [limit.wait("alice", start) for _ in range(11)]

    assert waits[:10] == [0.0] * 10
    assert waits[10] == pytest.approx(1.0)


def test_refills_at_the_rate() -> None:
    """After the burst one message passes per interval, whatever was tried in between."""
    limit = RateLimit(per_minute=30, burst=3)
    passed = sum(limit.wait("alice", tenth / 10) == 0 for tenth in range(600))

    assert passed == 3 + 29


def test_a_refused_message_does_not_lengthen_the_wait() -> None:
    """A client that retries too early must not lock itself out."""
    limit = RateLimit(per_minute=60, burst=1)
    limit.wait("alice", 0)

    assert [limit.wait("alice", 0.5) for _ in range(5)] == [pytest.approx(0.5)] * 5
    assert limit.wait("alice", 1.0) == 0


def test_a_rested_account_has_no_more_than_its_burst() -> None:
    """Silence for a year does not save up a flood."""
    limit = RateLimit(per_minute=60, burst=10)
    limit.wait("alice", 0)

    assert sum(limit.wait("alice", 1e7) == 0 for _ in range(50)) == 10


def test_accounts_do_not_share_a_budget() -> None:
    """Nobody can burn somebody else's."""
    limit = RateLimit(per_minute=60, burst=1)
    limit.wait("alice", 0)

    assert limit.wait("bob", 0) == 0


def test_forgets_accounts_at_full_budget() -> None:
    """Memory follows who sends now, not who ever sent."""
    limit = RateLimit(per_minute=60, burst=10)
    for number in range(20 * SWEEP_MINIMUM):
        limit.wait(f"account{number}", number / 10)

    assert len(limit) <= 2 * SWEEP_MINIMUM


def test_forgetting_never_refunds() -> None:
    """An account still in debt stays remembered through a sweep."""
    limit = RateLimit(per_minute=60, burst=2)
    limit.wait("alice", 0)
    limit.wait("alice", 0)
    for number in range(3 * SWEEP_MINIMUM):
        limit.wait(f"account{number}", 0.1)

    assert limit.wait("alice", 0.1) == pytest.approx(0.9)
