"""DKIM signatures (RFC 6376) made by hand, so that any part of one can be wrong."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from harness import stranger

if TYPE_CHECKING:
    from collections.abc import Sequence

Key = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

NAMES = ("from", "to", "subject", "date", "message-id", "mime-version", "content-type")


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """Create a key of any size; OpenSSL's command also makes sizes that the library refuses."""
    private, _ = stranger.dkim_key(bits)
    key = load_pem_private_key(private.encode(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def public(key: Key) -> str:
    """Return the value of p= (RFC 6376 3.6.1; RFC 8463 4)."""
    if isinstance(key, rsa.RSAPrivateKey):
        der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def sign(
    message: bytes,
    key: Key,
    domain: str,
    *,
    selector: str = "good",
    algorithm: str = "rsa-sha256",
    names: Sequence[str] = NAMES,
    tags: Sequence[str] = (),
    length: int | None = None,
    without: Sequence[str] = (),
) -> bytes:
    """
    Add a relaxed/simple signature to a message.

    `tags` are added unchanged. `length` signs this many octets of the body (l=). `without` removes
    tags after the signature is computed, so that the signature itself is valid.
    """
    head, _, body = message.partition(b"\r\n\r\n")
    while body.endswith(b"\r\n\r\n"):
        body = body.removesuffix(b"\r\n")
    signed_body = body if length is None else body[:length]
    digest = hashlib.new("sha1" if algorithm.endswith("sha1") else "sha256", signed_body).digest()
    bh = base64.b64encode(digest).decode()
    listed = {
        "v": "1",
        "a": algorithm,
        "c": "relaxed/simple",
        "d": domain,
        "s": selector,
        "h": ":".join(names),
        "bh": bh,
    }
    if length is not None:
        listed["l"] = str(length)
    kept = [f"{name}={value}" for name, value in listed.items() if name not in without]
    field = "DKIM-Signature: " + "; ".join([*kept, *tags, "b="])
    hashed = [*_selected(head, names), _relaxed(field.encode())]
    data = b"\r\n".join(hashed)
    if isinstance(key, rsa.RSAPrivateKey):
        kind = SHA1() if algorithm.endswith("sha1") else SHA256()  # noqa: S303 - a forger's
        signature = key.sign(data, padding.PKCS1v15(), kind)
    else:
        signature = key.sign(hashlib.sha256(data).digest())
    return field.encode() + base64.b64encode(signature) + b"\r\n" + message


def _selected(head: bytes, names: Sequence[str]) -> list[bytes]:
    """Return canonical fields in the order of h=; duplicates last first (RFC 6376 5.4.2)."""
    fields = re.split(rb"\r\n(?![ \t])", head)
    left = [(field.partition(b":")[0].strip().lower(), field) for field in fields]
    chosen = []
    for name in names:
        at = max((i for i, (key, _) in enumerate(left) if key == name.encode()), default=None)
        if at is not None:
            chosen.append(_relaxed(left.pop(at)[1]))
    return chosen


def _relaxed(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    return name.strip().lower() + b":" + b" ".join(value.split())
