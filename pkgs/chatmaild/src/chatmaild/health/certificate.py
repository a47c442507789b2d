"""Checks whether clients accept the certificate, and whether the ports use it."""

import datetime
import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from chatmaild.config import Config
from chatmaild.health.checks import Check, Look

# ACME renews 30 days before the end; with 14 days left it has failed for two weeks.
DAYS = 14
NAME = "certificate"
RENEWAL = {
    "acme": "`journalctl -u 'acme-*'` says why it was not renewed",
    "files": "put a new one there, then `systemctl reload nginx postfix dovecot`",
    "self-signed": "`chatmail certificate` makes a new one",
}

Shown = Mapping[int, tuple[str, x509.Certificate]]
"""Port -> the units that answer there, and the certificate that they present."""


def check(look: Look, shown: Shown, now: datetime.datetime) -> Iterator[Check]:
    """Judge the file, its key, and the certificates of the ports."""
    config = look.config
    path = config.paths.certificate
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except PermissionError:
        yield look.hidden(NAME, f"{path}")
        return
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "is not a certificate in PEM"
        yield Check(NAME, "wrong", f"{path}: {why}", RENEWAL[config.certificate.source])
        return
    faults = [*_file(config, chain, now), *_key(config, chain[0]), *_ports(chain[0], shown)]
    yield from faults
    if not faults:
        days = (chain[0].not_valid_after_utc - now).days
        yield Check(NAME, "ok", f"for {config.host}, {days} days left")


def _file(config: Config, chain: list[x509.Certificate], now: datetime.datetime) -> Iterator[Check]:
    renewal = RENEWAL[config.certificate.source]
    leaf = chain[0]
    days = (leaf.not_valid_after_utc - now).days
    if days < 0:
        yield Check(NAME, "wrong", f"expired {-days} days ago: clients refuse it", renewal)
    elif days < DAYS:
        yield Check(NAME, "wrong", f"expires in {days} days", renewal)
    elif leaf.not_valid_before_utc > now:
        begin = leaf.not_valid_before_utc.date()
        yield Check(NAME, "wrong", f"is not valid before {begin}", "set the clock (`timedatectl`)")
    names = names_of(leaf)
    if config.host not in names:
        text = f"is for {' and '.join(sorted(names)) or 'no name'}, not for {config.host}"
        yield Check(NAME, "wrong", f"{text}: clients refuse it", renewal)
    elif config.certificate.source == "acme" and days >= 0 and _untrusted(config, chain, now):
        name = " ".join(
            str(one.value) for one in leaf.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
        )
        yield Check(
            NAME,
            "wrong",
            f"is not from an authority that clients trust ({name}): they refuse it",
            f"`systemctl start acme-order-renew-{config.host}` asks for one; {renewal}",
        )


def names_of(certificate: x509.Certificate) -> set[str]:
    """Return the DNS names and addresses that a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return set()
    addresses = names.get_values_for_type(x509.IPAddress)
    return {*names.get_values_for_type(x509.DNSName), *map(str, addresses)}


def _untrusted(config: Config, chain: list[x509.Certificate], now: datetime.datetime) -> bool:
    try:
        authorities = x509.load_pem_x509_certificates(config.paths.authorities.read_bytes())
        policy = PolicyBuilder().store(Store(authorities)).time(now)
        policy.build_server_verifier(_subject(config.host)).verify(chain[0], chain[1:])
    except VerificationError:
        return True
    except (OSError, ValueError):
        # Without the list of authorities this cannot be checked.
        return False
    return False


def _subject(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key(config: Config, leaf: x509.Certificate) -> Iterator[Check]:
    path: Path = config.paths.certificate_key
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except PermissionError:
        return
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        why = getattr(error, "strerror", None) or "is not an unencrypted private key in PEM"
        yield Check("certificate key", "wrong", f"{path}: {why}", "restore it from a backup")
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        yield Check(
            "certificate key",
            "wrong",
            f"{path} does not belong to the certificate: no daemon can start with it",
            "restore the two from the same backup, or have a new certificate issued",
        )


def _ports(leaf: x509.Certificate, shown: Shown) -> Iterator[Check]:
    for port, (units, certificate) in shown.items():
        if certificate != leaf:
            end = certificate.not_valid_after_utc.date()
            yield Check(
                f"port {port}",
                "wrong",
                f"uses another certificate than the file; it expires on {end}",
                f"`systemctl reload {units}`",
            )
