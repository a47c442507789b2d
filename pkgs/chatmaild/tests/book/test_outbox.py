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
    """Hand over a book in which two people have the same two devices."""
    for address in (ALICE, BOB):
        book.create(address, "hash", TODAY)
        Tokens(book).add(address, "one", TODAY)
        Tokens(book).add(address, "two", TODAY)
    return book


@pytest.fixture
def outbox(book: Book) -> Outbox:
    """Hand over its empty outbox."""
    return Outbox(book)


def test_what_is_due_comes_first_come_first_served(outbox: Outbox) -> None:
    """The longest due is sent first, and what is not due stays."""
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


def test_what_was_taken_comes_again_if_the_daemon_dies(outbox: Outbox) -> None:
    """A row goes only when the proxy has it."""
    one = Notification(ALICE, "one", NOW)
    outbox.put([(one, NOW)])

    assert outbox.take(NOW, 10) == [one]
    assert outbox.take(NOW, 10) == []
    assert outbox.take(NOW + LEASE_SECONDS, 10) == [one]

    outbox.remove([one.key])

    assert outbox.next_due() is None


def test_a_device_waits_once(outbox: Outbox) -> None:
    """A newer message renews the five hours; the attempts made so far still count."""
    outbox.put([(Notification(ALICE, "one", NOW, 4), NOW + 500)])
    outbox.put([(Notification(ALICE, "one", NOW + 100, 1), NOW + 101)])

    assert outbox.count() == (1, 4)
    assert outbox.take(NOW + 101, 10) == [Notification(ALICE, "one", NOW + 100, 4)]


def test_a_token_taken_back_is_not_kept(book: Book, outbox: Outbox) -> None:
    """Signing off ends what waits, and what was about to."""
    outbox.put([(Notification(ALICE, "one", NOW), NOW)])
    Tokens(book).remove(ALICE)
    outbox.put([(Notification(ALICE, "two", NOW), NOW)])

    assert outbox.count() == (0, 0)


def test_a_dead_token_goes_wherever_it_is(book: Book, outbox: Outbox) -> None:
    """The proxy speaks of the device, not of one of its accounts."""
    outbox.put([(Notification(who, "one", NOW), NOW) for who in (ALICE, BOB)])

    outbox.forget_token("one")

    assert outbox.count() == (0, 0)
    assert Tokens(book).of(ALICE, TODAY) == Tokens(book).of(BOB, TODAY) == ["two"]


def test_expired_tokens_take_along_what_waits(book: Book, outbox: Outbox) -> None:
    """Ninety days after a client last set it, nobody is there to be woken."""
    outbox.put([(Notification(ALICE, "one", NOW), NOW)])
    Tokens(book).add(ALICE, "two", TODAY + 1)
    outbox.put([(Notification(ALICE, "two", NOW), NOW)])

    Tokens(book).expire(TODAY + 90)

    assert [one.token for one in outbox.take(NOW, 10)] == ["two"]


def test_the_oldest_is_known(outbox: Outbox) -> None:
    """An alarm about a proxy that takes nothing goes by its age."""
    assert outbox.oldest() is None
    outbox.put([(Notification(ALICE, "one", NOW), NOW), (Notification(BOB, "two", NOW - 9), NOW)])

    assert outbox.oldest() == NOW - 9
