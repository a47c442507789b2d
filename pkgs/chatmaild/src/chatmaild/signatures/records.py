"""DKIM key records in the DNS (RFC 6376 3.6.1, RFC 8463 4.2)."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from chatmaild.signatures import tags
from chatmaild.signatures.tags import UnusableError

MIN_RSA_BITS = 1024  # RFC 8301 3.2
MAX_RSA_BITS = 4096  # RFC 8301 3.2; larger ones only cost time
MAX_RSA_EXPONENT = 2**32
"""Nearly all keys use 65537, old ones 3. An exponent as long as the key makes verifying slow."""

Key = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


def read(record: bytes, algorithm: bytes, *, same_domain: bool) -> Key | None:
    """
    Parse the key of a TXT record; None if it is not a key record.

    `algorithm` is the signature's a=. `same_domain` says whether its i= is exactly in its d=.
    Raises `UnusableError` if the key must not be used for such a signature.
    """
    found = tags.parse(record)
    if found.get(b"v", b"DKIM1") != b"DKIM1" or b"p" not in found:
        return None
    kind = found.get(b"k", b"rsa").lower()
    if algorithm != kind + b"-sha256":
        raise UnusableError("key of another type")
    if b"sha256" not in tags.items(found.get(b"h", b"sha256").lower()):
        raise UnusableError("key not for SHA-256")
    if not {b"*", b"email"} & set(tags.items(found.get(b"s", b"*").lower())):
        raise UnusableError("key not for mail")
    if b"s" in tags.items(found.get(b"t", b"").lower()) and not same_domain:
        raise UnusableError("key not for subdomains")
    material = tags.decoded(found[b"p"])  # a revoked key has an empty p=, which is not base64
    try:
        if kind == b"ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(material)
        key = load_der_public_key(material)
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableError("not a key") from None
    if not isinstance(key, rsa.RSAPublicKey) or not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise UnusableError("not an RSA key of a permitted size")
    # With the exponent 1 anyone can forge a signature.
    if not 1 < key.public_numbers().e <= MAX_RSA_EXPONENT:
        raise UnusableError("not an allowed RSA exponent")
    return key
