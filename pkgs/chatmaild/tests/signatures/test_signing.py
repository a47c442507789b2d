"""Outgoing mail is signed so that visible content cannot be changed or added."""

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from chatmaild.signatures import keys, signing
from chatmaild.signatures.canonicalization import relaxed_value
from chatmaild.signatures.fields import OVERSIGNED
from chatmaild.signatures.signing import Signer
from mails import Header, encrypted, split

KEYS: dict[str, keys.PrivateKey] = {
    "opendkim": rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}
SIGNER = Signer("Chat.Example.Org", KEYS)


def verifies(headers: list[Header], body: bytes) -> bool:
    """Verify the topmost signature with dkimpy, which shares no code with the relay."""
    raw = b"".join(name + b":" + value + b"\r\n" for name, value in headers) + b"\r\n" + body
    zone = {f"{selector}._domainkey.chat.example.org.": key for selector, key in KEYS.items()}

    def lookup(name: bytes, timeout: float) -> bytes:
        return keys.dns_record(zone[name.decode()]).encode()

    return bool(dkim.verify(raw, dnsfunc=lookup))


def signed(mail: bytes) -> list[tuple[list[Header], bytes]]:
    """Sign a mail as the milter does; return one message for each key."""
    headers, body = split(mail)
    return [([(b"DKIM-Signature", s), *headers], body) for s in SIGNER.sign(headers, body)]


@pytest.mark.parametrize(
    "mail",
    [
        encrypted(),
        encrypted(extra="X-Folded: a\n\tb\nEmpty:\n"),
        encrypted(extra="Chat-Group-ID: one\nChat-Group-ID: two\nchat-group-id:\t 3 \n"),
        encrypted(extra="Autocrypt: addr=a;\n keydata=" + "\n  AAAA" * 200 + "\n"),
        encrypted(extra="".join(f"Chat-{'long' * 10}-{n}: {n}\n" for n in range(100))),
        encrypted(author="\u00c4lice <alice@chat.example.org>"),
        encrypted() + b"\n\n\n",
        b"From: a@chat.example.org\n\n",
    ],
    ids=["plain", "folded", "repeated", "autocrypt", "many", "utf-8", "trailing", "empty"],
)
def test_signatures_verify(mail: bytes) -> None:
    """An independent implementation verifies the rebuilt message, with each key."""
    both = signed(mail)

    assert len(both) == len(KEYS)
    assert all(verifies(*message) for message in both)


# The milter passes any octets, with line ends only as folds. Form feeds and vertical tabs are left
# out: dkimpy strips them from the ends of a value, although they are not WSP (RFC 5234 B.1).
VALUES = st.lists(st.binary(max_size=40)).map(
    lambda pieces: b"\r\n ".join(p.translate(None, b"\r\n\0\f\v") for p in pieces)
)


@given(VALUES)
def test_field_values_are_relaxed_as_elsewhere(value: bytes) -> None:
    """With one octet of difference, no receiver accepts the signature."""
    [(_, expected)] = Relaxed.canonicalize_headers([(b"x", value + b"\r\n")])

    assert relaxed_value(value) + b"\r\n" == expected


def test_signatures_are_folded() -> None:
    """RFC 5322 2.1.1 recommends at most 78 octets; Postfix itself would fold above 998."""
    many = "".join(f"Chat-Field-{n}: {n}\n" for n in range(40))
    for value in SIGNER.sign(*split(encrypted(extra=many))):
        first, *others = value.split(b"\r\n")
        assert len(b"DKIM-Signature:" + first) <= 78
        assert all(len(line) <= 78 and line.startswith(b"\t") for line in others)


def test_a_strangers_field_names_are_not_cached() -> None:
    """Half a megabyte of names per message would fill the memory through the cache of h= values."""
    signing._usual_name_tag.cache_clear()
    long = "".join(f"Chat-{'x' * 900}{n}: {n}\n" for n in range(10))

    assert all(verifies(*message) for message in signed(encrypted(extra=long)))

    assert signing._usual_name_tag.cache_info().currsize == 0


@pytest.mark.parametrize("name", OVERSIGNED)
def test_an_added_field_breaks_the_signature(name: bytes) -> None:
    """Readers would be shown a second From or Subject on top."""
    for headers, body in signed(encrypted()):
        assert not verifies([(name.title(), b" forged"), *headers], body)


def test_a_changed_field_or_body_breaks_the_signature() -> None:
    """Also for the chat fields that no other mail program signs."""
    mail = encrypted(extra="Chat-Group-ID: g1\nSecure-Join: vc-request\n")
    for headers, body in signed(mail):
        assert not verifies(headers, body.replace(b"Version: 1", b"Version: 2"))
        for name in (b"Chat-Group-ID", b"Secure-Join", b"Subject", b"To", b"Content-Type"):
            forged = [(key, b" forged" if key == name else value) for key, value in headers]
            assert not verifies(forged, body), name


def test_signatures_name_domain_and_selector() -> None:
    """Strict receivers compare d= with the From domain; t=s requires that i= equals it."""
    values = SIGNER.sign(*split(encrypted()))
    for value, selector, kind in zip(values, KEYS, ("rsa", "ed25519"), strict=True):
        tags = dict(item.strip().split(b"=", 1) for item in value.replace(b"\r\n", b"").split(b";"))
        assert tags[b"d"] == b"chat.example.org"
        assert tags[b"i"] == b"@chat.example.org"
        assert tags[b"s"] == selector.encode()
        assert tags[b"a"] == f"{kind}-sha256".encode()
        assert tags[b"c"] == b"relaxed/simple"
        assert b"l" not in tags
