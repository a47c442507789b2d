"""
The self-signed certificate of a relay without a public name.

The key is created once and kept when the certificate is renewed. Chat clients remember it, and as
long as the key stays the same, they trust a certificate that they cannot verify.
"""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chatmaild.admin.command import CommandError
from chatmaild.service.files import write_whole

# Clients ignore the dates of a self-signed certificate, and every renewal is a reload.
VALID_DAYS = 3650
RENEW_DAYS = 30


def ensure(certificate: Path, key: Path, host: str, now: datetime.datetime) -> bool:
    """
    Create or renew the certificate if needed; return whether it was written.

    Raises:
        CommandError: the existing key cannot be used, or a file cannot be written.

    """
    try:
        private = _load_key(key)
        if private is None:
            private = ec.generate_private_key(ec.SECP256R1())
            pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_whole(key, pem, 0o640, durable=True)
        if _is_good(certificate, private, host, now):
            return False
        signed = _sign(private, host, now).public_bytes(Encoding.PEM)
        write_whole(certificate, signed, 0o644, durable=True)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None
    return True


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        # Replacing it would make every client distrust this relay.
        raise CommandError(
            f"{path}: is not an EC private key; restore it from a backup, or remove it so that a"
            " new one is created"
        )
    return key


def _is_good(
    path: Path, key: ec.EllipticCurvePrivateKey, host: str, now: datetime.datetime
) -> bool:
    """Whether the certificate is for this key and host, and is valid for some time."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
        return False
    return (
        _public_bytes(certificate.public_key()) == _public_bytes(key.public_key())
        and list(names) == [_alternative_name(host)]
        and certificate.not_valid_before_utc <= now
        and certificate.not_valid_after_utc - now > datetime.timedelta(days=RENEW_DAYS)
    )


def _public_bytes(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return b""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _sign(key: ec.EllipticCurvePrivateKey, host: str, now: datetime.datetime) -> x509.Certificate:
    # RFC 5280 A.1: a common name has at most 64 characters; clients read the SAN.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A client's clock may be slow.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_alternative_name(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
