"""Certificates that clients accept or refuse."""

import datetime
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509

from chatmaild.admin import self_signed
from chatmaild.health import certificate
from chatmaild.health.checks import Check, Look

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def checked(look: Look) -> Callable[..., list[Check]]:
    """Make the certificate of a relay with these changes, and check it."""
    paths, host = look.config.paths, look.config.host

    def checked(
        source: Literal["acme", "files", "self-signed"] = "files",
        host: str = host,
        days: int = 0,
        shown: certificate.Shown | None = None,
    ) -> list[Check]:
        self_signed.ensure(paths.certificate, paths.certificate_key, host, NOW)
        config = replace(look.config, certificate=replace(look.config.certificate, source=source))
        now = NOW + datetime.timedelta(days=days)
        return list(certificate.check(Look(config, as_root=True), shown or {}, now))

    return checked


def test_a_good_certificate_is_one_line(checked: Callable[..., list[Check]]) -> None:
    """With its name and the days left."""
    [check] = checked()
    assert (check.state, check.name) == ("ok", "certificate")
    assert (
        check.text.endswith(f"{self_signed.VALID_DAYS - 1} days left") or "days left" in check.text
    )


@pytest.mark.parametrize(
    ("change", "text", "remedy"),
    [
        ({"days": 3640}, "expires in", "systemctl reload"),
        ({"days": 3700}, "expired", "systemctl reload"),
        ({"host": "other.test"}, "is for other.test, not for", "systemctl reload"),
        ({"source": "acme"}, "is not from an authority that clients trust", "acme-order-renew"),
        ({"source": "self-signed", "days": 3700}, "expired", "chatmail certificate"),
    ],
)
def test_a_certificate_that_clients_refuse_is_wrong(
    checked: Callable[..., list[Check]], change: dict[str, int | str], text: str, remedy: str
) -> None:
    """Each has a remedy."""
    checks = checked(**change)
    assert [check.state for check in checks] == ["wrong"]
    assert text in checks[0].text
    assert remedy in checks[0].remedy


def test_a_port_that_shows_another_certificate_is_named(
    checked: Callable[..., list[Check]], tmp_path: Path
) -> None:
    """A daemon that was not reloaded keeps using the old one until it expires."""
    self_signed.ensure(tmp_path / "old.pem", tmp_path / "old.key", "old.test", NOW)
    old = x509.load_pem_x509_certificate((tmp_path / "old.pem").read_bytes())
    checks = checked(shown={993: ("dovecot", old)})
    assert [(check.name, check.state) for check in checks] == [("port 993", "wrong")]
    assert checks[0].remedy == "`systemctl reload dovecot`"


def test_a_key_of_another_certificate_is_wrong(
    checked: Callable[..., list[Check]], look: Look, tmp_path: Path
) -> None:
    """Systemctl reported only that nginx restarts."""
    checked()
    self_signed.ensure(tmp_path / "other.pem", tmp_path / "other.key", "other.test", NOW)
    shutil.copy(tmp_path / "other.pem", look.config.paths.certificate)
    names = [check.name for check in certificate.check(look, {}, NOW)]
    assert names == ["certificate", "certificate key"]


@pytest.mark.parametrize("content", [None, "", "garbage"])
def test_a_file_that_is_no_certificate_is_wrong(look: Look, content: str | None) -> None:
    """One sentence with its path."""
    if content is not None:
        look.config.paths.certificate.write_text(content)
    [check] = certificate.check(look, {}, NOW)
    assert (check.state, str(look.config.paths.certificate) in check.text) == ("wrong", True)
