"""Login, and the creation of accounts by the first login."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from people import at_once
from people.people import Person, exists, imap_login, smtp_login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.relay import Relay

    Login = Callable[[Relay, str, str], str]

IMAP_REFUSAL = "[AUTHENTICATIONFAILED] Authentication failed."
SMTP_REFUSAL = "535 5.7.8 Error: authentication failed:"

# (address with {} for the relay's domain, password or None for a valid one)
REFUSED = {
    "name one too short": ("abcdefgh@{}", None),
    "name one too long": ("abcdefghij@{}", None),
    "no name": ("@{}", None),
    "no domain": ("abcdefghi", None),
    "other domain": ("abcdefghi@elsewhere.test", None),
    "subdomain": ("abcdefghi@mail.{}", None),
    "domain as a prefix": ("abcdefghi@{}.elsewhere.test", None),
    "two at signs": ("abc@defgh@{}", None),
    "plus": ("abcd+efgh@{}", None),
    "slash": ("../abcdef@{}", None),
    "space": ("abcd efgh@{}", None),
    "quote": ("abcd'efgh@{}", None),
    "double quote": ('abcd"efgh@{}', None),
    "percent": ("abcd%efgh@{}", None),
    "line end": ("abcd\u2028efgh@{}", None),
    "umlaut": ("abcdefgü@{}", None),
    "fullwidth letter": ("abcdefgh\uff49@{}", None),
    "dot in front": (".abcdefgh@{}", None),
    "dot at the end": ("abcdefgh.@{}", None),
    "two dots": ("abcd..efg@{}", None),
    "reserved name": ("webmaster@{}", None),
    "password one too short": ("{name}@{}", "8letters"),
    "password that bcrypt would cut": ("{name}@{}", "x" * 73),
}


@pytest.fixture
def someone(relay: Relay) -> tuple[str, str]:
    """Unused credentials."""
    return relay.credentials()


@pytest.fixture
def nocreate(relay: Relay) -> Iterator[None]:
    """The file with which an operator stops registration, for the length of a test."""
    path = relay.value.daemons["paths"]["nocreate"]
    relay.machine.write(path, "")
    yield
    relay.machine.run(["rm", path])


@pytest.mark.parametrize("login", [imap_login, smtp_login])
def test_the_first_login_creates_the_account(
    relay: Relay, someone: tuple[str, str], login: Login
) -> None:
    """After scanning an invite, a client has only a name and a password of its choice."""
    address, password = someone
    assert not exists(relay, address)

    assert login(relay, address, password) == ""

    assert exists(relay, address)
    assert imap_login(relay, address, password) == ""
    assert smtp_login(relay, address, password) == ""


@pytest.mark.parametrize("login", [imap_login, smtp_login])
def test_a_wrong_password_is_refused(relay: Relay, alice: Person, login: Login) -> None:
    """An address belongs to its first user, and the refusal gives no reason."""
    refusal = IMAP_REFUSAL if login is imap_login else SMTP_REFUSAL

    assert login(relay, alice.address, alice.password + "x").startswith(refusal)
    assert login(relay, alice.address, alice.password[:-1]).startswith(refusal)

    assert login(relay, alice.address, alice.password) == ""


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_to_create_an_account_for_a(relay: Relay, case: str) -> None:
    """Such an address could not receive mail, would be unsafe, or belongs to somebody else."""
    pattern, given = REFUSED[case]
    name = "".join(secrets.choice("abcdefghijk") for _ in range(9))
    address = pattern.replace("{name}", name).replace("{}", relay.domain)
    password = secrets.token_urlsafe(16) if given is None else given

    over_imap = imap_login(relay, address, password)
    over_smtp = smtp_login(relay, address, password)

    assert "FAILED" in over_imap or "Invalid" in over_imap
    assert over_smtp.startswith("535 ")
    assert not exists(relay, address)


def test_an_empty_password_creates_no_account(relay: Relay, someone: tuple[str, str]) -> None:
    """Dovecot's OAuth2 client treats it as an error and never asks the account book."""
    address, _ = someone

    assert imap_login(relay, address, "").startswith(("[AUTHENTICATIONFAILED]", "[UNAVAILABLE]"))
    assert smtp_login(relay, address, "")[0] in "45"

    assert not exists(relay, address)


@pytest.mark.parametrize(
    "name", ["webmaster", "postmaster", "hostmaster", "admin", "administrator", "root", "abuse"]
)
def test_the_operators_names_are_reserved(relay: Relay, name: str) -> None:
    """Certificate authorities consider their owner the owner of the domain."""
    assert smtp_login(relay, f"{name}@{relay.domain}", "long enough").startswith("535 ")
    assert smtp_login(relay, f"{name.upper()}@{relay.domain}", "long enough").startswith("535 ")

    assert not exists(relay, f"{name}@{relay.domain}")


def test_parallel_first_logins_create_one_account(relay: Relay, someone: tuple[str, str]) -> None:
    """If 20 strangers want a name at the same moment, exactly one gets it."""
    address, _ = someone
    passwords = [secrets.token_urlsafe(16) for _ in range(20)]

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(lambda word: imap_login(relay, address, word), passwords))

    winners = [word for word, refusal in zip(passwords, outcomes, strict=True) if not refusal]
    assert len(winners) == 1
    assert {refusal for refusal in outcomes if refusal} == {IMAP_REFUSAL}
    again = [word for word in passwords if not smtp_login(relay, address, word)]
    assert again == winners


def test_parallel_first_logins_by_smtp_create_one_account(
    relay: Relay, someone: tuple[str, str]
) -> None:
    """A new client may send before it reads."""
    address, _ = someone
    passwords = [secrets.token_urlsafe(16) for _ in range(20)]

    outcomes = at_once.logins(relay, address, passwords)

    winners = [word for word, refusal in zip(passwords, outcomes, strict=True) if not refusal]
    assert len(winners) == 1
    assert all(refusal.startswith(SMTP_REFUSAL) for refusal in outcomes if refusal)
    assert [word for word in passwords if not imap_login(relay, address, word)] == winners


def test_addresses_are_case_insensitive(relay: Relay, someone: tuple[str, str]) -> None:
    """Phones capitalise the first letter; it is still the same account."""
    address, password = someone

    assert imap_login(relay, address.upper(), password) == ""
    assert imap_login(relay, address, password) == ""
    assert smtp_login(relay, address.capitalize(), password) == ""

    assert exists(relay, address)
    assert imap_login(relay, address.upper(), password.upper() + "X") == IMAP_REFUSAL


def test_a_password_may_be_any_text(relay: Relay) -> None:
    """No character of a password has a special meaning on its way to the account book."""
    for password in (
        '"quo\\ted" %{user} {PLAIN}',
        "percent%40&user=other",
        "пароль-пароль",
        "delete\x7f it",
    ):
        address, _ = relay.credentials()

        assert smtp_login(relay, address, password) == ""
        assert smtp_login(relay, address, password + "x").startswith("535 ")
        assert smtp_login(relay, address, password) == ""


def test_the_stop_file_prevents_new_accounts(
    relay: Relay, someone: tuple[str, str], alice: Person, nocreate: None
) -> None:
    """During an attack one file stops registration, and existing accounts keep working."""
    address, password = someone

    assert imap_login(relay, address, password) == IMAP_REFUSAL
    assert smtp_login(relay, address, password).startswith(SMTP_REFUSAL)

    assert not exists(relay, address)
    assert imap_login(relay, alice.address, alice.password) == ""
