"""What leaves is signed so that nothing a reader sees can be changed or added."""

import base64
import stat
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from chatmaild.config import ConfigError
from chatmaild.filter import signing
from chatmaild.filter.signing import Signer

from .mails import Header, encrypted, split

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@pytest.fixture(scope="module")
def key_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hand over a key made by the filter."""
    path = tmp_path_factory.mktemp("dkim") / "dkim.pem"
    signing.make_key(path)
    return path


@pytest.fixture(scope="module")
def signer(key_path: Path) -> Signer:
    """Hand over a signer of chat.example.org."""
    return signing.load("Chat.Example.Org", "opendkim", key_path)


def verifies(signer: Signer, headers: list[Header], body: bytes) -> bool:
    """Ask dkimpy, which knows nothing of our code."""
    raw = b"".join(name + b":" + value + b"\r\n" for name, value in headers) + b"\r\n" + body
    record = signer.dns_record().encode()
    return bool(dkim.verify(raw, dnsfunc=lambda _name, timeout: record))


def signed(signer: Signer, mail: bytes) -> tuple[list[Header], bytes]:
    """Sign a mail as the milter does."""
    headers, body = split(mail)
    return [(b"DKIM-Signature", signer.sign(headers, body)), *headers], body


@pytest.mark.parametrize(
    "mail",
    [
        encrypted(),
        encrypted(extra="X-Folded: a\n\tb\nEmpty:\n"),
        encrypted(author="\u00c4lice <alice@chat.example.org>"),
        encrypted() + b"\n\n\n",
        b"From: a@chat.example.org\n\n",
    ],
)
def test_signatures_verify(signer: Signer, mail: bytes) -> None:
    """Proven by an independent implementation from the rebuilt message."""
    assert verifies(signer, *signed(signer, mail))


@pytest.mark.parametrize("name", signing.OVERSIGNED)
def test_an_added_field_breaks_the_signature(signer: Signer, name: bytes) -> None:
    """A second From or Subject on top is what the reader would be shown."""
    headers, body = signed(signer, encrypted())

    assert not verifies(signer, [(name.title(), b" forged"), *headers], body)


def test_a_changed_field_or_body_breaks_the_signature(signer: Signer) -> None:
    """Also the chat fields that no other mail program signs."""
    headers, body = signed(signer, encrypted(extra="Chat-Group-ID: g1\nSecure-Join: vc-request\n"))

    assert not verifies(signer, headers, body.replace(b"Version: 1", b"Version: 2"))
    for name in (b"Chat-Group-ID", b"Secure-Join", b"Subject", b"To", b"Content-Type"):
        forged = [(key, b" forged" if key == name else value) for key, value in headers]
        assert not verifies(signer, forged, body), name


def test_signatures_name_domain_and_selector(signer: Signer) -> None:
    """Receivers with strict alignment compare d= with the From domain; t=s wants i= to equal it."""
    tags = dict(
        item.strip().split(b"=", 1)
        for item in signer.sign(*split(encrypted())).replace(b"\r\n", b"").split(b";")
    )

    assert tags[b"d"] == b"chat.example.org"
    assert tags[b"i"] == b"@chat.example.org"
    assert tags[b"s"] == b"opendkim"
    assert tags[b"a"] == b"rsa-sha256"
    assert tags[b"c"] == b"relaxed/simple"
    assert b"l" not in tags


def test_makes_a_key_once_and_for_the_owner_only(tmp_path: Path) -> None:
    """A key that changed at each start would make every receiver refuse the mail in the queue."""
    path = tmp_path / "dkim.pem"
    first = signing.load("a.example", "s", path).dns_record()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert signing.load("a.example", "s", path).dns_record() == first
    assert list(tmp_path.iterdir()) == [path]


def test_the_record_holds_the_public_key(key_path: Path) -> None:
    """`chatmail dns` prints it; receivers must be able to read it."""
    record = signing.dns_record(key_path)
    tags = dict(tag.split("=", 1) for tag in record.split(";"))
    key = load_der_public_key(base64.b64decode(tags.pop("p")))

    assert tags == {"v": "DKIM1", "k": "rsa", "s": "email", "t": "s"}
    assert record.startswith("v=DKIM1;k=rsa;p=")
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == signing.KEY_BITS


def pem(key: PrivateKey, encryption: KeySerializationEncryption) -> bytes:
    """Write a private key."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an unencrypted private key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not an unencrypted"),
        (
            pem(rsa.generate_private_key(65537, 2048), BestAvailableEncryption(b"x")),
            "not an unencrypted private key in PEM",
        ),
        (pem(ec.generate_private_key(ec.SECP256R1()), NoEncryption()), "not an RSA key"),
        (pem(rsa.generate_private_key(65537, 1024), NoEncryption()), "has 1024 bits"),  # noqa: S505 the claim
    ],
    ids=["empty", "garbage", "encrypted", "elliptic", "weak"],
)
def test_refuses_an_unusable_key_in_one_sentence(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    """The operator who put it there must learn what to do."""
    path = tmp_path / "dkim.pem"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=reason) as error:
        signing.load("a.example", "s", path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_says_when_a_key_can_neither_be_read_nor_made(tmp_path: Path) -> None:
    """A missing directory is the operator's to mend."""
    with pytest.raises(ConfigError, match="cannot be made: No such file"):
        signing.load("a.example", "s", tmp_path / "missing" / "dkim.pem")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        signing.load("a.example", "s", tmp_path)


@pytest.mark.parametrize(
    ("domain", "possible"),
    [("a.example", True), ("_t.example", True), ("192.0.2.7", False), ("[2001:db8::1]", False)],
)
def test_an_address_has_no_dkim_record(domain: str, possible: bool) -> None:
    """Relays without a name send unsigned; their peers compare addresses."""
    assert signing.can_sign(domain) is possible
