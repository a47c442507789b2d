"""DKIM key files: created once, read again, refused with one sentence."""

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from chatmaild.config import ConfigError
from chatmaild.signatures import keys

AnyKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def tags(record: str) -> dict[str, str]:
    """Split a key record."""
    return dict(tag.split("=", 1) for tag in record.split(";"))


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_makes_a_key_once_and_for_the_owner_only(tmp_path: Path, kind: str) -> None:
    """If the key changed at each start, receivers would refuse the mail in the queue."""
    path = tmp_path / "dkim.pem"
    first = keys.dns_record(keys.load(path, kind))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.dns_record(keys.load(path, kind)) == first
    assert list(tmp_path.iterdir()) == [path]


def test_the_record_holds_the_public_key(tmp_path: Path) -> None:
    """`chatmail dns` prints it; receivers must be able to read it."""
    record = keys.dns_record(keys.make(tmp_path / "dkim.pem"))
    found = tags(record)
    key = load_der_public_key(base64.b64decode(found.pop("p")))

    assert found == {"v": "DKIM1", "k": "rsa", "s": "email", "t": "s"}
    assert record.startswith("v=DKIM1;k=rsa;p=")
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == keys.RSA_BITS


def test_an_ed25519_record_holds_the_bare_key() -> None:
    """RFC 8463 4: 32 octets, not the structure of RSA keys. The example is that of RFC 8463 A."""
    secret = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    key = ed25519.Ed25519PrivateKey.from_private_bytes(secret)

    found = tags(keys.dns_record(key))

    assert found["k"] == "ed25519"
    assert found["p"] == "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def pem(key: AnyKey, encryption: KeySerializationEncryption) -> bytes:
    """Return a private key in PEM."""
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
    """It must tell the operator what to do."""
    path = tmp_path / "dkim.pem"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=reason) as error:
        keys.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_reports_a_key_that_cannot_be_read_or_created(tmp_path: Path) -> None:
    """The operator has to create a missing directory."""
    with pytest.raises(ConfigError, match="cannot be created: No such file"):
        keys.load(tmp_path / "missing" / "dkim.pem")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        keys.load(tmp_path)


def test_refuses_a_key_of_another_kind(tmp_path: Path) -> None:
    """For example one file in place of the other."""
    path = tmp_path / "dkim-ed25519.pem"
    keys.make(path)

    with pytest.raises(ConfigError, match="not an Ed25519 key"):
        keys.load(path, "ed25519")
