from pathlib import Path

import pytest

from chatmaild.book.accounts import Book, NotCreatedError
from chatmaild.book.invites import NAME_SECONDS, SPARE_NAMES, Invites, Refused
from chatmaild.book.tokens import Tokens

TODAY = 20_000
NOW = TODAY * 86400
ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"


@pytest.fixture
def invites(book: Book) -> Invites:
    """Hand over its invites."""
    return Invites(book)


def create(book: Book, address: str, now: int = NOW) -> bool:
    """Log in for the first time, where an invite is needed."""
    try:
        return book.create(address, "hash", TODAY, invited_at=now)[1]
    except NotCreatedError:
        return False


def test_only_a_name_that_was_handed_out_is_created(book: Book, invites: Invites) -> None:
    """Otherwise anybody could log in with a name of their own making."""
    token = invites.add(1, None, "", TODAY).token
    assert invites.hand_out(token, ALICE, TODAY, NOW) is None

    assert not create(book, BOB)
    assert create(book, ALICE)
    assert book.count() == 1


def test_a_name_is_good_for_a_day(book: Book, invites: Invites) -> None:
    """A client logs in within seconds; what is left over is nobody's."""
    token = invites.add(5, None, "", TODAY).token
    invites.hand_out(token, ALICE, TODAY, NOW)
    invites.hand_out(token, BOB, TODAY, NOW)

    assert create(book, ALICE, NOW + NAME_SECONDS - 1)
    assert not create(book, BOB, NOW + NAME_SECONDS)


def test_handing_out_uses_nothing_up(book: Book, invites: Invites) -> None:
    """A robot that looks at a link, and a client that asks again, leave the invite whole."""
    token = invites.add(1, None, "", TODAY).token
    for number in range(SPARE_NAMES * 3):
        assert invites.hand_out(token, f"name{number:05}@x", TODAY, NOW + number) is None

    assert invites.list()[0].used == 0
    assert invites.hand_out(token, ALICE, TODAY, NOW + 1000) is None
    assert create(book, ALICE, NOW + 1000)
    with book.reading() as connection:
        (waiting,) = connection.execute("SELECT count(*) FROM handed_out").fetchone()
    assert waiting <= SPARE_NAMES + 1


def test_an_invite_makes_no_more_accounts_than_it_has_uses(book: Book, invites: Invites) -> None:
    """However many names were handed out before the first of them logged in."""
    token = invites.add(2, None, "", TODAY).token
    names = [f"name{number:05}@chat.example.org" for number in range(10)]
    for name in names:
        invites.hand_out(token, name, TODAY, NOW)

    assert [create(book, name) for name in names] == [True, True] + [False] * 8
    assert book.count() == 2
    assert invites.hand_out(token, ALICE, TODAY, NOW) is Refused.USED_UP


def test_an_existing_account_uses_no_invite(book: Book, invites: Invites) -> None:
    """Every login of an account comes by here when its password is wrong."""
    token = invites.add(1, None, "", TODAY).token
    invites.hand_out(token, ALICE, TODAY, NOW)
    assert create(book, ALICE)

    assert book.create(ALICE, "other", TODAY, invited_at=NOW)[1] is False
    assert invites.list()[0].used == 1


def test_an_invite_ends_after_its_last_day(invites: Invites) -> None:
    """The day that `invites list` shows is still good."""
    token = invites.add(1, 3, "", TODAY).token

    assert invites.hand_out(token, ALICE, TODAY + 3, NOW) is None
    assert invites.hand_out(token, ALICE, TODAY + 4, NOW) is Refused.EXPIRED


def test_a_withdrawn_invite_takes_its_names_along(book: Book, invites: Invites) -> None:
    """Whoever has a link that came into wrong hands withdraws it, and that is that."""
    invite = invites.add(5, None, "for the party", TODAY)
    invites.hand_out(invite.token, ALICE, TODAY, NOW)
    invites.hand_out(invite.token, BOB, TODAY, NOW)
    assert create(book, BOB)

    assert invites.remove(invite.id)

    assert not create(book, ALICE)
    assert book.find(BOB) is not None
    assert invites.hand_out(invite.token, ALICE, TODAY, NOW) is Refused.UNKNOWN
    assert not invites.remove(invite.id)


def test_tokens_cannot_be_guessed(invites: Invites) -> None:
    """128 bits, of letters that no link changes."""
    tokens = {invites.add(1, None, "", TODAY).token for _ in range(100)}

    assert len(tokens) == 100
    assert all(
        len(token) == 22 and token.replace("-", "").replace("_", "").isalnum() for token in tokens
    )


def test_a_deleted_address_is_nobodys_for_a_while(book: Book) -> None:
    """Whoever had it is still in the address books of others."""
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


def test_nothing_tells_who_was_deleted(book: Book, tmp_path: Path) -> None:
    """The address is not in the file any more, nor a hash that others could have computed."""
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
    """The operator may want that for a relay among friends."""
    book.create(ALICE, "hash", TODAY)
    book.delete(ALICE, TODAY, 0)

    assert book.create(ALICE, "other", TODAY)[1]


def test_what_is_over_is_forgotten(book: Book, invites: Invites) -> None:
    """Neither tombstones nor names pile up."""
    book.create(ALICE, "hash", TODAY)
    book.delete(ALICE, TODAY, 10)
    invites.hand_out(invites.add(1, None, "", TODAY).token, BOB, TODAY, NOW)

    book.expire_names(TODAY + 10, NOW + NAME_SECONDS)

    with book.reading() as connection:
        for table in ("deleted", "handed_out"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608
