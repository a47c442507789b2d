"""A valid configuration file's content, free to be spoiled, and an account book."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatmaild.book.accounts import Book


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Hand over the configuration of a relay whose every path lies in the test's directory."""
    for name in ("revoked", "exceptions"):
        (tmp_path / name).mkdir()
    return {
        "host": "chat.example.org",
        "domain": "chat.example.org",
        "registration": "open",
        "accounts": {
            "nameMinLength": 9,
            "nameMaxLength": 9,
            "passwordMinLength": 9,
            "maxPerHour": 1000,
            "graceDays": 90,
        },
        "sending": {"perMinute": 60, "burst": 10, "maxRecipients": 1000},
        "message": {"maxSize": 31457280},
        "https": {"smtp": 10025},
        "mailbox": {"maxSize": 524288000, "maxMessages": 64000, "trimFrom": 75, "trimTo": 70},
        "incoming": {"cleartext": True},
        "admission": {"maxLoad": 0, "minAvailableMemory": 0, "minFreeDisk": 0},
        "certificate": {"source": "acme"},
        "metadata": {"irohRelay": None, "turn": None, "appVersions": None},
        "retention": {
            "mailDays": 20,
            "largeMailDays": 7,
            "largeMailSize": 200000,
            "idleAccountDays": 90,
        },
        "privacy": {"mail": None, "postal": None, "officer": None, "supervisor": None},
        "website": {"site": str(tmp_path / "site"), "pages": None},
        "echo": None,
        "metrics": None,
        "push": {"enable": True, "proxy": "http://127.0.0.1:9/notify"},
        "dkim": {"selector": "opendkim", "ed25519Selector": None},
        "addresses": {"ipv4": "192.0.2.1", "ipv6": "2001:db8::1"},
        "dns": [
            {
                "name": "chat.example.org.",
                "type": "MX",
                "data": "10 chat.example.org.",
                "need": "required",
            }
        ],
        "units": ["postfix.service"],
        "paths": {
            "accountBook": str(tmp_path / "accounts.sqlite"),
            "mailboxes": str(tmp_path / "mail"),
            "dkimKey": str(tmp_path / "dkim.pem"),
            "dkimEd25519Key": str(tmp_path / "dkim-ed25519.pem"),
            "certificate": str(tmp_path / "fullchain.pem"),
            "certificateKey": str(tmp_path / "key.pem"),
            "filterSocket": str(tmp_path / "filter.sock"),
            "grantSocket": str(tmp_path / "grant.sock"),
            "dictSocket": str(tmp_path / "dict.sock"),
            "registrarSocket": str(tmp_path / "registrar.sock"),
            "controlSocket": str(tmp_path / "control.sock"),
            "doveadmSocket": str(tmp_path / "doveadm.sock"),
            "webSocket": str(tmp_path / "web.sock"),
            "tlsPolicySocket": str(tmp_path / "tls-policy.sock"),
            "stsPolicies": str(tmp_path / "sts-policies.sqlite"),
            "nocreate": str(tmp_path / "nocreate"),
            "revoked": str(tmp_path / "revoked"),
            "exceptions": str(tmp_path / "exceptions"),
            "arrivals": str(tmp_path / "arrivals"),
            "authorities": "/etc/ssl/certs/ca-certificates.crt",
        },
    }


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """Hand over a new, empty book."""
    book = Book.open(tmp_path / "accounts.sqlite", tmp_path / "mail")
    yield book
    book.close()
