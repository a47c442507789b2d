import pytest

from chatmaild.book.accounts import Book
from chatmaild.book.outbox import LEASE_SECONDS, Notification, Outbox
from chatmaild.book.tokens import Tokens

TODAY = 20_000
NOW = TODAY * 86400
ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"


@pytest.fixture
def book(book: Book) -> Book:
    """Return a book in which two users have the same two devices."""
    for address in (ALICE, BOB):
        book.create(address, "hash", TODAY)
        Tokens(book).add(address, "one", TODAY)
        Tokens(book).add(address, "two", TODAY)
    return book


@pytest.fixture
def outbox(book: Book) -> Outbox:
    """Return its empty outbox."""
    return Outbox(book)


def test_due_notifications_are_taken_in_order(outbox: Outbox) -> None:
    """The longest due comes first, and notifications that are not due remain."""
    outbox.put(
        [
            (Notification(ALICE, "one", NOW), NOW + 2),
            (Notification(ALICE, "two", NOW, 3), NOW + 1),
            (Notification(BOB, "one", NOW), NOW + 3),
        ]
    )

    assert outbox.next_due() == NOW + 1
    assert outbox.take(NOW + 2, 10) == [
        Notification(ALICE, "two", NOW, 3),
        Notification(ALICE, "one", NOW),
    ]
    assert outbox.next_due() == NOW + 3


def test_taken_notifications_return_if_the_daemon_dies(outbox: Outbox) -> None:
    """A row is deleted only when the proxy has accepted it."""
    one = Notification(ALICE, "one", NOW)
    outbox.put([(one, NOW)])

    assert outbox.take(NOW, 10) == [one]
    assert outbox.take(NOW, 10) == []
    assert outbox.take(NOW + LEASE_SECONDS, 10) == [one]

    outbox.remove([one.key])

    assert outbox.next_due() is None


def test_a_device_has_one_notification(outbox: Outbox) -> None:
    """A newer message restarts the five hours, but earlier attempts still count."""
    outbox.put([(Notification(ALICE, "one", NOW, 4), NOW + 500)])
    outbox.put([(Notification(ALICE, "one", NOW + 100, 1), NOW + 101)])

    assert outbox.count() == (1, 4)
    assert outbox.take(NOW + 101, 10) == [Notification(ALICE, "one", NOW + 100, 4)]


def test_a_withdrawn_token_is_not_notified(book: Book, outbox: Outbox) -> None:
    """Removing a token drops queued notifications and prevents new ones."""
    outbox.put([(Notification(ALICE, "one", NOW), NOW)])
    Tokens(book).remove(ALICE)
    outbox.put([(Notification(ALICE, "two", NOW), NOW)])

    assert outbox.count() == (0, 0)


def test_an_invalid_token_is_removed_from_all_accounts(book: Book, outbox: Outbox) -> None:
    """The proxy's answer is about the device, not about one account."""
    outbox.put([(Notification(who, "one", NOW), NOW) for who in (ALICE, BOB)])

    outbox.forget_token("one")

    assert outbox.count() == (0, 0)
    assert Tokens(book).of(ALICE, TODAY) == Tokens(book).of(BOB, TODAY) == ["two"]


def test_expired_tokens_take_their_notifications_along(book: Book, outbox: Outbox) -> None:
    """Ninety days after a client last set it, the device is no longer in use."""
    outbox.put([(Notification(ALICE, "one", NOW), NOW)])
    Tokens(book).add(ALICE, "two", TODAY + 1)
    outbox.put([(Notification(ALICE, "two", NOW), NOW)])

    Tokens(book).expire(TODAY + 90)

    assert [one.token for one in outbox.take(NOW, 10)] == ["two"]


def test_the_oldest_is_known(outbox: Outbox) -> None:
    """An alert about a failing proxy depends on this age."""
    assert outbox.oldest() is None
    outbox.put([(Notification(ALICE, "one", NOW), NOW), (Notification(BOB, "two", NOW - 9), NOW)])

    assert outbox.oldest() == NOW - 9
