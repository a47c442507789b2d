"""
DKIM signatures (RFC 6376) on everything that leaves.

dkimpy makes the signature, OpenSSL (through `cryptography`) the RSA inside it: dkimpy's own
arithmetic takes 5 ms per message and would be the bottleneck of the relay, OpenSSL's 0.2 ms.
dkimpy has no plug point for that, so two of its names are replaced, and `load` proves with
dkimpy's unchanged verification that what comes out is a signature.
"""

import base64
import ipaddress
import os
import tempfile
from pathlib import Path
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chatmaild.config import ConfigError
from chatmaild.filter.canonicalization import simple_body
from chatmaild.filter.structure import Header

KEY_BITS = 2048
"""RFC 8301 3.2 asks for 2048; the record still fits one DNS answer over UDP."""

OVERSIGNED = (
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"autocrypt",
    b"secure-join",
    b"chat-version",
)
"""Signed once more than present, so that nobody can add another one (RFC 6376 8.15)."""
SIGNED_PREFIXES = (b"autocrypt", b"secure-join", b"chat-", b"content-", b"list-")
"""Signed as often as present, like `SIGNED`."""
SIGNED = frozenset({b"auto-submitted", b"x-microsoft-original-message-id", *OVERSIGNED})


class Signer:
    """Signs messages as one domain; safe to share between threads."""

    def __init__(self, domain: str, selector: str, key: rsa.RSAPrivateKey) -> None:
        """Sign as `domain` with a key whose public half is at `selector`._domainkey.`domain`."""
        self.domain = domain.lower()
        self._domain = self.domain.encode("ascii")
        self._selector = selector.encode("ascii")
        self._key = key

    def dns_record(self) -> str:
        """
        Write the TXT record for the public key (RFC 6376 3.6.1), raw and unquoted.

        `t=s` says that i= is never in a subdomain, `s=email` that the key serves mail only.
        """
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1;k=rsa;p={base64.b64encode(der).decode()};s=email;t=s"

    def sign(self, headers: list[Header], body: bytes) -> bytes:
        """
        Make the raw value of a DKIM-Signature field: leading space, folds as CRLF + WSP.

        `body` has CRLF line ends and no line longer than 998 octets. Exactly one From is expected.
        """
        message = dkim.DKIM()
        message.headers = [(name, value + b"\r\n") for name, value in headers]
        message.body = simple_body(body)
        field: bytes = message.sign(
            self._selector,
            self._domain,
            self._key,
            canonicalize=(b"relaxed", b"simple"),
            include_headers=_names_to_sign(headers),
        )
        return field.partition(b":")[2].removesuffix(b"\r\n")


def _names_to_sign(headers: list[Header]) -> list[bytes]:
    present = [name.lower() for name, _ in headers]
    return [name for name in present if name in SIGNED or name.startswith(SIGNED_PREFIXES)] + list(
        OVERSIGNED
    )


def can_sign(domain: str) -> bool:
    """Whether `domain` can have a DKIM record: an IP address, bracketed or not, has no zone."""
    try:
        ipaddress.ip_address(domain.strip("[]").lower().removeprefix("ipv6:"))
    except ValueError:
        return True
    return False


def load(domain: str, selector: str, path: Path) -> Signer:
    """
    Read the key at `path`, made first if there is none, and prove that signing with it works.

    Raises `ConfigError` for a file that cannot be read, is no PEM RSA key or is too weak.
    """
    _use_openssl()
    signer = Signer(domain, selector, read_key(path) if path.exists() else make_key(path))
    _prove(signer)
    return signer


def read_key(path: Path) -> rsa.RSAPrivateKey:
    """Read an RSA private key in PEM, unencrypted; raises `ConfigError`."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"{path}: the DKIM key cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError):
        raise ConfigError(
            f"{path}: the DKIM key is not an unencrypted private key in PEM."
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigError(f"{path}: the DKIM key is not an RSA key.")
    if key.key_size < KEY_BITS:
        raise ConfigError(
            f"{path}: the DKIM key has {key.key_size} bits, at least {KEY_BITS} are needed;"
            " move it away and a new one is made."
        )
    return key


def make_key(path: Path) -> rsa.RSAPrivateKey:
    """Make a key and put it at `path`, mode 0600, complete or not at all; raises `ConfigError`."""
    key = rsa.generate_private_key(65537, KEY_BITS)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        # mkstemp creates with 0600 whatever the umask.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).rename(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise ConfigError(f"{path}: the DKIM key cannot be made: {error.strerror}.") from None
    return key


def dns_record(path: Path) -> str:
    """Write the TXT record for the key at `path`; see `Signer.dns_record`, errors as `read_key`."""
    return Signer("", "", read_key(path)).dns_record()


_dkimpy_parse_key = dkim.parse_pem_private_key
_dkimpy_sign = dkim.RSASSA_PKCS1_v1_5_sign


def _parse_key(key: Any) -> Any:
    return key if isinstance(key, rsa.RSAPrivateKey) else _dkimpy_parse_key(key)


def _rsa_sign(digest: Any, key: Any) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest.digest(), padding.PKCS1v15(), utils.Prehashed(SHA256()))
    result: bytes = _dkimpy_sign(digest, key)
    return result


def _use_openssl() -> None:
    dkim.parse_pem_private_key = _parse_key
    dkim.RSASSA_PKCS1_v1_5_sign = _rsa_sign


def _prove(signer: Signer) -> None:
    """Verify a signature with dkimpy alone, lest an update of it breaks ours silently."""
    headers: list[Header] = [
        (b"From", b" <proof@" + signer.domain.encode() + b">"),
        (b"Subject", b" folded\r\n\tand  spaced "),
    ]
    body = b"proof \r\n\r\nof signing\r\n\r\n"
    message = dkim.DKIM()
    signature = signer.sign(headers, body)
    message.headers = [
        (name, value + b"\r\n") for name, value in [(b"DKIM-Signature", signature), *headers]
    ]
    message.body = body
    record = signer.dns_record().encode()
    if not message.verify(dnsfunc=lambda _name, timeout: record):
        raise ConfigError("The DKIM self-test failed: dkimpy does not verify what it signed.")
