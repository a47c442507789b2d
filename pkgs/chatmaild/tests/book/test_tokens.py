import pytest

from chatmaild.book.accounts import Book
from chatmaild.book.tokens import MAX_TOKENS, Tokens

TODAY = 20_000
ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"


@pytest.fixture
def tokens(book: Book) -> Tokens:
    """Return the tokens of the book."""
    return Tokens(book)


def test_merges_a_token_set_twice(book: Book, tokens: Tokens) -> None:
    """A client sets its token at every start, but is notified once."""
    book.create(ALICE, "hash", TODAY)
    for token in ("one", "two", "one"):
        assert tokens.add(ALICE, token, TODAY)

    assert tokens.of(ALICE, TODAY) == ["two", "one"]


def test_forgets_tokens_ninety_days_after_they_were_set(book: Book, tokens: Tokens) -> None:
    """A phone that was thrown away must not be notified forever."""
    book.create(ALICE, "hash", TODAY)
    tokens.add(ALICE, "old", TODAY)
    tokens.add(ALICE, "renewed", TODAY)
    tokens.add(ALICE, "renewed", TODAY + 1)

    assert tokens.of(ALICE, TODAY + 89) == ["old", "renewed"]
    assert tokens.of(ALICE, TODAY + 90) == ["renewed"]
    assert tokens.expire(TODAY + 90) == 1


def test_drops_the_oldest_of_too_many_tokens(book: Book, tokens: Tokens) -> None:
    """A hostile client can fill only its own list, and only up to a limit."""
    book.create(ALICE, "hash", TODAY)
    for number in range(MAX_TOKENS + 3):
        tokens.add(ALICE, f"token{number}", TODAY)

    assert tokens.of(ALICE, TODAY) == [f"token{number}" for number in range(3, MAX_TOKENS + 3)]


def test_keeps_all_tokens_within_one_dict_line(book: Book, tokens: Tokens) -> None:
    """Dovecot reads answers of up to 64 KiB."""
    book.create(ALICE, "hash", TODAY)
    for number in range(MAX_TOKENS):
        tokens.add(ALICE, f"{number:04096}", TODAY)

    found = tokens.of(ALICE, TODAY)

    assert len(" ".join(found)) < 60_000
    assert found[-1].endswith("15")


def test_keeps_no_token_of_an_unknown_account(tokens: Tokens) -> None:
    """A token without an account would never be deleted with it."""
    assert not tokens.add("nobody1234@chat.example.org", "token", TODAY)


def test_forgets_tokens_of_their_account_only(book: Book, tokens: Tokens) -> None:
    """Removal is per account; other devices and users keep their tokens."""
    for address in (ALICE, BOB):
        book.create(address, "hash", TODAY)
        tokens.add(address, "one", TODAY)
        tokens.add(address, "two", TODAY)
    tokens.remove(BOB)

    assert tokens.of(ALICE, TODAY) == ["one", "two"]
    assert tokens.of(BOB, TODAY) == []
