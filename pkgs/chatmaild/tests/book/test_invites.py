from pathlib import Path

import pytest

from chatmaild.book.accounts import Book, NotCreatedError
from chatmaild.book.invites import NAME_SECONDS, SPARE_NAMES, InviteRefusal, Invites
from chatmaild.book.tokens import Tokens

TODAY = 20_000
NOW = TODAY * 86400
ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"


@pytest.fixture
def invites(book: Book) -> Invites:
    """Return the invites of the book."""
    return Invites(book)


def create(book: Book, address: str, now: int = NOW) -> bool:
    """Simulate a first login that needs an invite."""
    try:
        return book.create(address, "hash", TODAY, invited_at=now)[1]
    except NotCreatedError:
        return False


def test_only_a_name_that_was_handed_out_is_created(book: Book, invites: Invites) -> None:
    """Otherwise anyone could log in with a name of their choice."""
    token = invites.add(1, None, "", TODAY).token
    assert invites.hand_out(token, ALICE, TODAY, NOW) is None

    assert not create(book, BOB)
    assert create(book, ALICE)
    assert book.count() == 1


def test_a_name_is_valid_for_a_day(book: Book, invites: Invites) -> None:
    """A client logs in within seconds; unused names expire."""
    token = invites.add(5, None, "", TODAY).token
    invites.hand_out(token, ALICE, TODAY, NOW)
    invites.hand_out(token, BOB, TODAY, NOW)

    assert create(book, ALICE, NOW + NAME_SECONDS - 1)
    assert not create(book, BOB, NOW + NAME_SECONDS)


def test_handing_out_a_name_does_not_use_the_invite(book: Book, invites: Invites) -> None:
    """A robot that follows a link, or a client that asks twice, does not use up the invite."""
    token = invites.add(1, None, "", TODAY).token
    for number in range(SPARE_NAMES * 3):
        assert invites.hand_out(token, f"name{number:05}@x", TODAY, NOW + number) is None

    assert invites.list()[0].used == 0
    assert invites.hand_out(token, ALICE, TODAY, NOW + 1000) is None
    assert create(book, ALICE, NOW + 1000)
    with book.reading() as connection:
        (waiting,) = connection.execute("SELECT count(*) FROM handed_out").fetchone()
    assert waiting <= SPARE_NAMES + 1


def test_an_invite_creates_no_more_accounts_than_it_has_uses(book: Book, invites: Invites) -> None:
    """The number of names handed out before their first login does not matter."""
    token = invites.add(2, None, "", TODAY).token
    names = [f"name{number:05}@chat.example.org" for number in range(10)]
    for name in names:
        invites.hand_out(token, name, TODAY, NOW)

    assert [create(book, name) for name in names] == [True, True] + [False] * 8
    assert book.count() == 2
    assert invites.hand_out(token, ALICE, TODAY, NOW) is InviteRefusal.USED_UP


def test_an_existing_account_uses_no_invite(book: Book, invites: Invites) -> None:
    """Every login with a wrong password to an existing account comes here too."""
    token = invites.add(1, None, "", TODAY).token
    invites.hand_out(token, ALICE, TODAY, NOW)
    assert create(book, ALICE)

    assert book.create(ALICE, "other", TODAY, invited_at=NOW)[1] is False
    assert invites.list()[0].used == 1


def test_an_invite_ends_after_its_last_day(invites: Invites) -> None:
    """An invite is still valid on the day that `invites list` shows."""
    token = invites.add(1, 3, "", TODAY).token

    assert invites.hand_out(token, ALICE, TODAY + 3, NOW) is None
    assert invites.hand_out(token, ALICE, TODAY + 4, NOW) is InviteRefusal.EXPIRED


def test_withdrawing_an_invite_also_withdraws_its_names(book: Book, invites: Invites) -> None:
    """The operator can withdraw a link that fell into the wrong hands."""
    invite = invites.add(5, None, "for the party", TODAY)
    invites.hand_out(invite.token, ALICE, TODAY, NOW)
    invites.hand_out(invite.token, BOB, TODAY, NOW)
    assert create(book, BOB)

    assert invites.remove(invite.id)

    assert not create(book, ALICE)
    assert book.find(BOB) is not None
    assert invites.hand_out(invite.token, ALICE, TODAY, NOW) is InviteRefusal.UNKNOWN
    assert not invites.remove(invite.id)


def test_tokens_cannot_be_guessed(invites: Invites) -> None:
    """A token has 128 random bits, in characters that URLs keep."""
    tokens = {invites.add(1, None, "", TODAY).token for _ in range(100)}

    assert len(tokens) == 100
    assert all(
        len(token) == 22 and token.replace("-", "").replace("_", "").isalnum() for token in tokens
    )


def test_a_deleted_address_is_reserved_for_a_while(book: Book) -> None:
    """The address is still in other people's contact lists."""
    book.create(ALICE, "hash", TODAY)
    Tokens(book).add(ALICE, "token", TODAY)

    assert book.delete(ALICE, TODAY, 90)
    assert not book.delete(ALICE, TODAY, 90)

    with pytest.raises(NotCreatedError, match="deleted-address"):
        book.create(ALICE, "other", TODAY + 89)
    assert book.create(BOB, "hash", TODAY)[1]
    assert book.find(ALICE) is None
    assert book.create(ALICE, "other", TODAY + 90)[1]
    assert Tokens(book).of(ALICE, TODAY + 90) == []


def test_the_book_does_not_reveal_deleted_addresses(book: Book, tmp_path: Path) -> None:
    """The file no longer contains the address, nor a hash that others could compute."""
    book.create(ALICE, "hash", TODAY)
    book.delete(ALICE, TODAY, 90)
    with book.writing() as connection:
        rows = connection.execute("SELECT * FROM deleted").fetchall()
        everything = "\n".join(connection.iterdump())
    other = Book.open(tmp_path / "other.sqlite", tmp_path / "none")
    other.create(ALICE, "hash", TODAY)
    other.delete(ALICE, TODAY, 90)
    with other.reading() as connection:
        elsewhere = connection.execute("SELECT * FROM deleted").fetchall()
    other.close()

    assert "alice1234" not in everything
    assert len(rows) == len(elsewhere) == 1
    assert rows != elsewhere


def test_without_a_grace_period_an_address_is_free_at_once(book: Book) -> None:
    """The operator may want this for a relay among friends."""
    book.create(ALICE, "hash", TODAY)
    book.delete(ALICE, TODAY, 0)

    assert book.create(ALICE, "other", TODAY)[1]


def test_expired_entries_are_deleted(book: Book, invites: Invites) -> None:
    """Neither deleted addresses nor unused names pile up."""
    book.create(ALICE, "hash", TODAY)
    book.delete(ALICE, TODAY, 10)
    invites.hand_out(invites.add(1, None, "", TODAY).token, BOB, TODAY, NOW)

    book.expire_names(TODAY + 10, NOW + NAME_SECONDS)

    with book.reading() as connection:
        for table in ("deleted", "handed_out"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608
