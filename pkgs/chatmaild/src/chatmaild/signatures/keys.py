"""
The relay's DKIM keys: PEM files that the filter creates when it first starts.

There is an RSA key, because every verifier supports RSA. The operator can add an Ed25519 key
(RFC 8463).
"""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chatmaild.config import ConfigError
from chatmaild.service.files import write_whole

RSA_BITS = 2048
"""RFC 8301 3.2 recommends 2048; the record still fits into one DNS answer over UDP."""

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey

_KINDS: dict[str, tuple[type[PrivateKey], str]] = {
    "rsa": (rsa.RSAPrivateKey, "an RSA"),
    "ed25519": (ed25519.Ed25519PrivateKey, "an Ed25519"),
}
"""Value of k= in a key record -> its class, and its name in messages."""


def load(path: Path, kind: str = "rsa") -> PrivateKey:
    """
    Read the key of `kind` ("rsa" or "ed25519") at `path`; create it if it is missing.

    Raises `ConfigError` as `read` does, or if the file cannot be created.
    """
    return read(path, kind) if path.exists() else make(path, kind)


def read(path: Path, kind: str = "rsa") -> PrivateKey:
    """Read an unencrypted private key in PEM; raises `ConfigError` for anything else."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"{path}: the DKIM key cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError):
        raise ConfigError(
            f"{path}: the DKIM key is not an unencrypted private key in PEM."
        ) from None
    wanted, name = _KINDS[kind]
    if not isinstance(key, wanted):
        raise ConfigError(f"{path}: the DKIM key is not {name} key.")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < RSA_BITS:
        raise ConfigError(
            f"{path}: the DKIM key has {key.key_size} bits, but at least {RSA_BITS} are needed."
            " Move the file away, and the filter creates a new key."
        )
    return key


def make(path: Path, kind: str = "rsa") -> PrivateKey:
    """Write a new key to `path` with mode 0600, atomically; raises `ConfigError`."""
    key: PrivateKey = (
        ed25519.Ed25519PrivateKey.generate()
        if kind == "ed25519"
        else rsa.generate_private_key(65537, RSA_BITS)
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        write_whole(path, pem, durable=True)
    except OSError as error:
        raise ConfigError(f"{path}: the DKIM key cannot be created: {error.strerror}.") from None
    return key


def dns_record(key: PrivateKey) -> str:
    """
    Return the TXT record for the public key (RFC 6376 3.6.1, RFC 8463 4), raw and unquoted.

    `t=s` says that i= is never in a subdomain, and `s=email` that the key is for mail only.
    """
    public = key.public_key()
    kind = "rsa" if isinstance(public, rsa.RSAPublicKey) else "ed25519"
    return f"v=DKIM1;k={kind};p={base64.b64encode(public_bytes(public)).decode()};s=email;t=s"


def public_bytes(key: PublicKey) -> bytes:
    """Return a public key as it is in a record, before base64."""
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.public_bytes_raw()
