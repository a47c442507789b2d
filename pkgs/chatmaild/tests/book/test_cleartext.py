"""Single accounts with another rule on unencrypted mail than the relay's."""

from chatmaild.book.accounts import Book
from chatmaild.book.cleartext import Cleartext

ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"
TODAY = 20_000


def test_a_choice_is_the_accounts_own_and_can_be_taken_back(book: Book) -> None:
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


def test_nothing_is_chosen_for_whoever_is_not_there(book: Book) -> None:
    """A typing error must be told, and not wait for a stranger who takes the name."""
    assert not Cleartext(book).choose(ALICE, allowed=False)
    assert Cleartext(book).of(ALICE) is None


def test_a_choice_goes_with_its_account(book: Book) -> None:
    """Whoever has the address next has the relay's rule."""
    cleartext = Cleartext(book)
    book.create(ALICE, "hash", TODAY)
    cleartext.choose(ALICE, allowed=False)
    book.delete(ALICE, TODAY, 0)
    book.create(ALICE, "hash", TODAY)

    assert cleartext.of(ALICE) is None
