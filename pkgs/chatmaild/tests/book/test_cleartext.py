"""Accounts with an exception from the relay's rule on unencrypted mail."""

from chatmaild.book.accounts import Book
from chatmaild.book.cleartext import Cleartext

ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"
TODAY = 20_000


def test_a_choice_affects_one_account_and_can_be_reset(book: Book) -> None:
    """The operator chooses for the relay, and for single accounts."""
    cleartext = Cleartext(book)
    for one in (ALICE, BOB):
        book.create(one, "hash", TODAY)

    assert cleartext.choose(ALICE, allowed=False)
    assert cleartext.choose(BOB, allowed=True)

    assert (cleartext.of(ALICE), cleartext.of(BOB)) == (False, True)
    assert cleartext.where(allowed=False) == [ALICE]

    assert cleartext.choose(ALICE, allowed=True)
    assert cleartext.where(allowed=True) == [ALICE, BOB]
    assert cleartext.choose(ALICE, allowed=None)
    assert cleartext.of(ALICE) is None


def test_no_choice_is_stored_for_a_missing_account(book: Book) -> None:
    """A mistyped address must be reported, and must not affect a stranger who takes it later."""
    assert not Cleartext(book).choose(ALICE, allowed=False)
    assert Cleartext(book).of(ALICE) is None


def test_a_choice_is_deleted_with_its_account(book: Book) -> None:
    """The next owner of the address gets the relay's rule."""
    cleartext = Cleartext(book)
    book.create(ALICE, "hash", TODAY)
    cleartext.choose(ALICE, allowed=False)
    book.delete(ALICE, TODAY, 0)
    book.create(ALICE, "hash", TODAY)

    assert cleartext.of(ALICE) is None
