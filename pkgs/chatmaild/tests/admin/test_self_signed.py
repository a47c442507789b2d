import datetime
import ipaddress
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from chatmaild.admin.command import CommandError
from chatmaild.admin.self_signed import ensure

NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)
DOMAIN = "_chat.example"


def make(directory: Path, domain: str = DOMAIN, now: datetime.datetime = NOW) -> bool:
    """Create or renew the pair in a directory."""
    return ensure(directory / "cert.pem", directory / "key.pem", domain, now)


def read(directory: Path) -> x509.Certificate:
    """Parse the certificate."""
    return x509.load_pem_x509_certificate((directory / "cert.pem").read_bytes())


def test_makes_a_pair_for_the_domain(tmp_path: Path) -> None:
    """The name is where clients look for it, and other users cannot read the key."""
    assert make(tmp_path)

    certificate = read(tmp_path)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    key = certificate.public_key()
    assert names.get_values_for_type(x509.DNSName) == [DOMAIN]
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "cert.pem").stat().st_mode & 0o777 == 0o644
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cert.pem", "key.pem"]


def test_files_made_by_root_belong_to_the_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command usually runs as its own user, but the operator may run it as root."""
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _file, *owner: given.append(owner))
    make(tmp_path)
    directory = tmp_path.stat()

    assert given == [(directory.st_uid, directory.st_gid)] * 2


def test_leaves_a_good_pair_alone(tmp_path: Path) -> None:
    """It runs at every boot, which must not change what clients see."""
    make(tmp_path)
    before = (tmp_path / "cert.pem").read_bytes()

    assert not make(tmp_path, now=NOW + datetime.timedelta(days=365))
    assert (tmp_path / "cert.pem").read_bytes() == before


@pytest.mark.parametrize("days", [3650 - 29, 4000])
def test_renewal_keeps_the_key(tmp_path: Path, days: int) -> None:
    """Clients trust a key that they know; another one would lock all of them out."""
    make(tmp_path)
    key = (tmp_path / "key.pem").read_bytes()
    old = read(tmp_path)

    assert make(tmp_path, now=NOW + datetime.timedelta(days=days))

    assert (tmp_path / "key.pem").read_bytes() == key
    assert read(tmp_path).public_key() == old.public_key()
    assert read(tmp_path).not_valid_after_utc > old.not_valid_after_utc


def test_a_new_domain_gets_a_new_certificate(tmp_path: Path) -> None:
    """The key stays and the name follows the setting; an IP address is named as such."""
    make(tmp_path)

    assert make(tmp_path, "192.0.2.1")

    names = read(tmp_path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("192.0.2.1")]


@pytest.mark.parametrize("content", [b"", b"half a certificate"])
def test_replaces_a_broken_certificate(tmp_path: Path, content: bytes) -> None:
    """A certificate can always be recreated from its key."""
    make(tmp_path)
    (tmp_path / "cert.pem").write_bytes(content)

    assert make(tmp_path)
    assert not make(tmp_path)


def test_never_replaces_a_key_it_cannot_read(tmp_path: Path) -> None:
    """A damaged key may have a backup, but a replaced one is lost."""
    (tmp_path / "key.pem").write_bytes(b"half a key")

    with pytest.raises(CommandError, match="is not an EC private key; restore it from a backup"):
        make(tmp_path)

    assert (tmp_path / "key.pem").read_bytes() == b"half a key"


def test_a_missing_directory_is_one_sentence(tmp_path: Path) -> None:
    """It must name the path."""
    with pytest.raises(CommandError, match=r"absent.*: No such file or directory"):
        make(tmp_path / "absent")
