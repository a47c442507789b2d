"""A From field has one address, and every parser reads the same one."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.message import addresses
from chatmaild.message.addresses import AddressError, parse_mailbox, parse_path


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("alice@chat.example.org", "alice@chat.example.org"),
        ("<Alice@Chat.Example.ORG>", "Alice@chat.example.org"),
        ("Alice A. Smith <alice@chat.example.org>", "alice@chat.example.org"),
        ('"Smith, Alice <x@y>" <alice@chat.example.org>', "alice@chat.example.org"),
        ("=?utf-8?q?=C3=84?= <alice@chat.example.org>", "alice@chat.example.org"),
        ("Älice <alice@chat.example.org>", "alice@chat.example.org"),
        ("alice@chat.example.org (Alice (the one))", "alice@chat.example.org"),
        ("alice@chat.example.org <alice@chat.example.org>", "alice@chat.example.org"),
        ('"alice"@chat.example.org', "alice@chat.example.org"),
        ("<alice@[192.0.2.7]>", "alice@[192.0.2.7]"),
        ("alice@[IPv6:2001:DB8::1]", "alice@[ipv6:2001:db8::1]"),
        ("alice@_test.example", "alice@_test.example"),
        ("[Sales] Alice <alice@chat.example.org>", "alice@chat.example.org"),
        ("alice..a.@chat.example.org", "alice..a.@chat.example.org"),
        ("info@xn--strae-oqa.example", "info@xn--strae-oqa.example"),
    ],
)
def test_reads_the_one_address(value: str, address: str) -> None:
    """Display names, comments and quoting do not change the author."""
    assert str(parse_mailbox(value.encode())) == address


PIECES = st.sampled_from(
    [
        "a",
        "Z9",
        "_b",
        "-",
        "é",
        ".",
        "..",
        "@",
        "<",
        ">",
        " ",
        '"',
        "(",
        "[1.2.3.4]",
        "x" * 64,
        "\n",
    ]
)


@given(st.lists(PIECES, max_size=9).map("".join) | st.text(max_size=12))
def test_the_fast_path_agrees_with_the_general_one(text: str) -> None:
    """If two parsers disagree, one address can pass for another."""
    short = addresses._plain(text)

    if short is not None:
        assert short == addresses._address(addresses._lexemes(text))


def test_reads_a_display_name_in_an_old_charset() -> None:
    """Some incoming mail still has raw Latin-1 names."""
    assert str(parse_mailbox(b"J\xf6rg <a@b.example>")) == "a@b.example"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "alice",
        "<>",
        "<alice@chat.example.org",
        "alice@chat.example.org>",
        "alice@chat.example.org, mallory@evil.example",
        "<alice@chat.example.org>, <mallory@evil.example>",
        "<alice@chat.example.org> <mallory@evil.example>",
        "alice@chat.example.org <mallory@evil.example>",
        "<alice@chat.example.org> mallory@evil.example",
        "friends: alice@chat.example.org;",
        "friends: alice@chat.example.org, bob@chat.example.org;",
        "<@evil.example:alice@chat.example.org>",
        '"alice@chat.example.org "@evil.example',
        '"alice@chat.example.org> <x"@evil.example',
        "alice @chat.example.org mallory@evil.example",
        "alice@chat.example.org@evil.example",
        "alice@chat..example.org",
        "alice. .@chat.example.org x",
        "....@chat.example.org",
        "Smith, Alice <alice@chat.example.org>",
        "alice@-chat.example.org",
        "alice@chat.example.org (comment",
        '"alice <alice@chat.example.org>',
        "alice@[evil.example]",
        "alice@[192.0.2.7] x",
        "alice@\x00chat.example.org",
        "alice@chat.example.org\r\nBcc: x@y",
        "a" * 250 + "@chat.example.org",
        "alice@" + "a" * 64 + ".example",
        "x" * 3000 + " <alice@chat.example.org>",
        "\u202ealice <alice@chat.example.org> \u202e",
    ],
)
def test_refuses_what_another_parser_could_read_as_another_address(value: str) -> None:
    """Display-name tricks, groups, routes, lists: readers must see the author that DKIM proves."""
    with pytest.raises(AddressError):
        parse_mailbox(value.encode())


@pytest.mark.parametrize(
    "address",
    [
        "ceo@straße.example",  # strasse under IDNA2003, xn--strae-oqa under IDNA2008
        "ceo@\uff46\uff41\uff53\uff53.example",
        "ceo@pay\u200dpal.example",
        "ceo@fass\u3002example",
        "ceo@bücher.example",
        "c\u00e9o@chat.example.org",
        "\u212aim@chat.example.org",
    ],
)
def test_refuses_an_address_that_is_not_ascii(address: str) -> None:
    """The mapping decides which domain signs for it, and users of the relay could not reply."""
    with pytest.raises(AddressError, match="not ASCII"):
        parse_mailbox(f"Bank <{address}>".encode())
    with pytest.raises(AddressError, match="not ASCII"):
        parse_path(address)


def test_ignores_the_case_of_ascii_letters_only() -> None:
    """In Unicode the Kelvin sign lower-cases to k; it must not make another account equal."""
    assert parse_path("KIM@chat.example.org").same_as("kim@Chat.example.org")
    assert not parse_path("kim@chat.example.org").same_as("\u212aim@chat.example.org")


def test_gives_the_ip_address_of_a_literal() -> None:
    """It is compared with the peer's address."""
    assert parse_path("a@[192.0.2.7]").literal == "192.0.2.7"
    assert parse_path("a@[IPv6:2001:db8::1]").literal == "2001:db8::1"
    assert parse_path("a@b.example").literal is None


@pytest.mark.parametrize("value", [b"(" * 2048, b'"' * 2048, b"\\" * 2048, b'"\\' * 1024])
def test_stays_linear_on_fields_made_to_be_slow(value: bytes) -> None:
    """Nested comments and quotes make address parsers hang."""
    begin = time.process_time()
    with pytest.raises(AddressError):
        parse_mailbox(value)

    assert time.process_time() - begin < 0.5


@given(st.one_of(st.binary(max_size=200), st.text('a@<>,:;.()[]" \\\u00e4').map(str.encode)))
def test_answers_any_bytes_with_a_verdict(value: bytes) -> None:
    """For any input, only the module's own exception is raised."""
    try:
        address = parse_mailbox(value)
    except AddressError:
        return
    assert str(address).count("@") == 1
