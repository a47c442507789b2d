import json
import string
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from chatmaild.accounts.login import refuse_creation
from chatmaild.config import Config, load
from chatmaild.web.credentials import (
    PASSWORD_ALPHABET,
    Credentials,
    by_login_link,
    dclogin_url,
    fresh_credentials,
)


@pytest.fixture
def config(tmp_path: Path, settings: dict[str, Any]) -> Config:
    """Return a configuration with names of up to 12 characters and passwords of at least 9."""
    settings["accounts"]["nameMaxLength"] = 12
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))
    return load(path)


def test_the_first_login_accepts_new_credentials(config: Config) -> None:
    """Both daemons must agree on every name and password."""
    for _ in range(1000):
        fresh = fresh_credentials(config)

        assert refuse_creation(fresh.email, fresh.password.encode(), config) is None
        assert len(fresh.email.partition("@")[0]) == 12
        assert len(fresh.password) == 12


def test_passwords_need_no_quoting() -> None:
    """A password must survive JSON, a link, a shell and copying by hand."""
    assert set(PASSWORD_ALPHABET) <= set(string.ascii_letters + string.digits + "-._")
    assert json.dumps(PASSWORD_ALPHABET) == f'"{PASSWORD_ALPHABET}"'


def test_every_answer_is_different(config: Config) -> None:
    """Two users who scan the same invite must not share an account."""
    assert len({fresh_credentials(config).email for _ in range(1000)}) == 1000


def test_link_of_a_self_signed_relay_accepts_its_certificate() -> None:
    """Without `ic=3` clients would try to verify it."""
    link = dclogin_url(Credentials("abc123def@_chat.example", "pass-._9word"), "_chat.example")

    assert link == "dclogin:abc123def@_chat.example?p=pass-._9word&v=1&ic=3"


def test_link_of_an_ip_address_names_its_servers() -> None:
    """Clients cannot look up servers of an IP address."""
    link = dclogin_url(Credentials("abc123def@[192.0.2.1]", "pass"), "192.0.2.1")
    address, _, query = link.removeprefix("dclogin:").partition("?")

    assert unquote(address) == address == "abc123def@[192.0.2.1]"
    assert parse_qs(query) == {
        "p": ["pass"],
        "v": ["1"],
        "ih": ["192.0.2.1"],
        "sh": ["192.0.2.1"],
        "ic": ["3"],
    }


@pytest.mark.parametrize(
    ("host", "source", "needed"),
    [
        ("chat.example.org", "acme", False),
        ("chat.example.org", "self-signed", True),
        ("192.0.2.1", "self-signed", True),
        ("_lab.example.org", "self-signed", False),
    ],
)
def test_a_login_link_is_needed_for_unverifiable_certificates(
    tmp_path: Path, settings: dict[str, Any], host: str, source: str, *, needed: bool
) -> None:
    """Clients verify all certificates except those of names with a leading `_`."""
    settings["host"] = host
    settings["domain"] = f"[{host}]" if host == "192.0.2.1" else host
    settings["certificate"]["source"] = source
    path = tmp_path / "chatmaild.json"
    path.write_text(json.dumps(settings))

    assert by_login_link(load(path)) is needed
