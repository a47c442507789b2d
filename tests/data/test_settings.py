"""Tests of the settings: which are refused, and with which messages."""

from __future__ import annotations

import pytest

from data.relay_value import Value, as_nix, evaluate, nix, problems
from data.settings import GOOD, leaves, other, with_setting


def test_the_domain_is_the_only_required_setting() -> None:
    """All other settings have defaults, which are consistent."""
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {},
            '`domain` is missing: set it to a domain name in lower case such as "chat.example.org"',
        ),
        (
            {"domain": "Chat.example.org"},
            '`domain` is "Chat.example.org", but must be a domain name',
        ),
        ({"domain": "localhost"}, '`domain` is "localhost", but must be a domain name'),
        ({"domain": "1.2.3"}, '`domain` is "1.2.3", but must be a domain name'),
        ({"domain": "a.b\nsmtpd_milters ="}, "but must be a domain name"),
        ({"domain": "x.org'; DROP"}, "but must be a domain name"),
        ({"typo": 1}, "unknown setting `typo`; the settings are accounts, addresses, admission,"),
        (
            {"sending": {"perMinut": 3}},
            "unknown setting `sending.perMinut`; `sending` has burst, maxRecipients, perMinute",
        ),
        (
            {"sending": 3},
            "`sending` is a group of settings (burst, maxRecipients, perMinute), not 3",
        ),
        (
            {"sending": {"burst": 0}},
            "`sending.burst` is 0, but must be a whole number from 1 to 100000",
        ),
        ({"sending": {"burst": "10"}}, '`sending.burst` is "10", but must be a whole number'),
        (
            {"mailbox": {"maxSize": "10 GB"}},
            '`mailbox.maxSize` is "10 GB", but must be a number of bytes, or one with K, M or G',
        ),
        ({"registration": "ajar"}, 'but must be one of "open", "invite", "closed"'),
        ({"durable": "yes"}, '`durable` is "yes", but must be true or false'),
        ({"retention": {"mailDays": 0}}, "but must be a number of days from 1 to 36500"),
        (
            {"accounts": {"nameMinLength": 12}},
            "`accounts.nameMinLength` (12) is above `accounts.nameMaxLength` (9)",
        ),
        (
            {"mailbox": {"maxSize": "1M"}},
            "`message.maxSize` (31457280 bytes) is more than half of `mailbox.maxSize` (1048576",
        ),
        (
            {"message": {"maxSize": 1000}},
            "is below 64K, too small even for a key exchange: raise it",
        ),
        (
            {"retention": {"largeMailDays": 30}},
            "`retention.largeMailDays` (30) is above `retention.mailDays` (20)",
        ),
        ({"turn": {"minPort": 60000}}, "`turn.minPort` (60000) is above `turn.maxPort` (50151)"),
        (
            {"certificate": {"source": "files"}},
            "needs both `certificate.file` and `certificate.keyFile`",
        ),
        (
            {"certificate": {"file": "/var/a.pem"}},
            'are used only with `certificate.source = "files"`',
        ),
        (
            {"certificate": {"source": "files", "file": "/var/a", "keyFile": "/nix/store/k.pem"}},
            '"/nix/store/k.pem", but must be an absolute path outside the Nix store',
        ),
        (
            {"domain": "_lab.test", "certificate": {"source": "acme"}},
            "no ACME authority issues a certificate for `_lab.test`",
        ),
        (
            {"turn": {"privateAddress": "192.168.1.2"}},
            "`turn.privateAddress` is for a host behind NAT: also set `addresses.ipv4`",
        ),
        (
            {"iroh": {"enable": True, "url": "https://iroh.example.net"}},
            "`iroh.url` names an iroh-relay on another host",
        ),
        (
            {"website": {"pages": "/srv/pages", "root": "/srv/www"}},
            "`website.root` replaces the whole website, so `website.pages` would have no effect",
        ),
        ({"website": {"root": "srv/www"}}, 'but must be an absolute path such as "/srv/www"'),
        (
            {"metrics": {"enable": True, "port": 3340}},
            "`metrics.port` (3340) is a port of the relay's own: take another",
        ),
        ({"addresses": {"ipv4": "300.1.1.1"}}, "but must be an IPv4 address"),
        ({"push": {"proxy": "notifications.example.org"}}, "but must be a URL"),
    ],
)
def test_refuses_invalid_settings_and_says_what_to_write(settings: Value, sentence: str) -> None:
    """Each fault gets one message, with the operator's own names."""
    found = problems(settings if "domain" in settings or settings == {} else GOOD | settings)

    assert len(found) == 1
    assert sentence in found[0]


def test_a_setting_is_refused_just_beyond_its_bounds() -> None:
    """Only settings.nix defines the bounds; the daemons had other ones, and did not start."""
    bounds = {
        path: (declaration.get("min", 1), declaration.get("max", 36500))
        for path, declaration in leaves(nix('import (relay + "/settings.nix")'))
        if declaration["kind"] in ("int", "days")
    }
    tried = {
        f"{'.'.join(path)}={number}": with_setting(path, number)
        for path, (low, high) in bounds.items()
        for number in (low - 1, low, high, high + 1)
    }
    refused: dict[str, bool] = nix(
        "builtins.mapAttrs (_: settings: builtins.any "
        '(problem: builtins.match ".*must be a .*number.*" problem != null) '
        f"(import relay {{ inherit settings; }}).problems) {as_nix(tried)}"
    )

    assert len(bounds) > 15
    for path, (low, high) in bounds.items():
        name = ".".join(path)
        for number in (low - 1, high + 1):
            assert refused[f"{name}={number}"], (name, number)
        for number in (low, high):
            assert not refused[f"{name}={number}"], (name, number)


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("2001:db8::1", True),
        ("2001:db8:0:1:2:3:4:5", True),
        ("::1", True),
        ("fe80::", True),
        ("1:2:3:4:5:6:7::", True),
        ("2001:db8:0:1:2:3:4", False),
        ("2001:db8:0:1:2:3:4:5:6", False),
        ("1:2:3:4:5:6:7::8", False),
        ("2001::db8::1", False),
        (":::", False),
        (":1:2", False),
        ("2001:DB8::1", False),
        ("2001:db8::12345", False),
    ],
)
def test_an_ipv6_address_must_be_valid(address: str, fits: bool) -> None:
    """It goes into the zone; an invalid one stopped every daemon at its start."""
    assert (problems(GOOD | {"addresses": {"ipv6": address}}) == []) is fits


def test_reports_all_faults_at_once() -> None:
    """The operator should not have to fix them one by one."""
    found = problems({"domain": "x", "typo": 1, "durable": 2, "sending": {"burst": -1}})

    assert len(found) == 4


@pytest.mark.parametrize(
    ("written", "bytes_"),
    [
        (5_000_000_000, 5_000_000_000),
        ("70000", 70000),
        ("600M", 600 * 1024**2),
        ("2G", 2 * 1024**3),
    ],
)
def test_sizes_are_numbers_or_have_a_letter(written: object, bytes_: int) -> None:
    """K, M and G are powers of 1024, as in Postfix and Dovecot."""
    settings = GOOD | {"mailbox": {"maxSize": written}, "message": {"maxSize": 65536}}

    assert evaluate(settings, pick=".settings.mailbox.maxSize") == bytes_


@pytest.mark.parametrize(
    ("domain", "source"), [("chat.example.org", "acme"), ("_lab.test", "self-signed")]
)
def test_the_domain_decides_where_the_certificate_comes_from(domain: str, source: str) -> None:
    """Clients do not verify certificates of `_` domains, and no authority issues one."""
    assert evaluate({"domain": domain}, pick=".settings.certificate.source") == source


# A setting that only NixOS reads, not the daemons (test_modules.py).
NIXOS_ALONE = {"certificate.email"}

S = "/nix/store/0vx9fcmqgm6b3x7d5zk8zl1ikaw4q0r7-source/somewhere"


def test_every_setting_changes_the_relay() -> None:
    """A setting that nothing reads would be a broken promise."""
    declared = leaves(nix('import (relay + "/settings.nix")'))
    # Settings with an effect only in combination; the tests below cover them.
    together = {"turn.privateAddress", "metrics.port"} | {
        f"certificate.{name}" for name in ("source", "file", "keyFile")
    }
    changed = {
        name: with_setting(path, other(declaration))
        for path, declaration in declared
        if (name := ".".join(path)) not in together | {"domain"}
    }
    unread = nix(
        "let files = settings: (import relay { inherit settings; }).rendered.files; "
        f"changed = {as_nix(changed)}; in builtins.filter "
        f"(name: files changed.${{name}} == files {as_nix(GOOD)}) (builtins.attrNames changed)"
    )

    assert len(changed) > 40
    assert set(unread) == NIXOS_ALONE


@pytest.mark.parametrize(
    "setting", [{"website": {"pages": S}}, {"website": {"root": S}}, {"appVersions": S}]
)
def test_public_files_may_be_in_the_store(setting: Value) -> None:
    """A website is in the operator's repository, and the repository is in the store."""
    assert problems(GOOD | setting) == []
    assert S in str(evaluate(GOOD | setting, pick=".rendered.files"))


def test_certificate_files_reach_every_tls_daemon() -> None:
    """Settings that belong together are used together."""
    certificate = {"source": "files", "file": "/srv/c.pem", "keyFile": "/srv/k.pem"}
    files = evaluate(GOOD | {"certificate": certificate}, pick=".rendered.files")

    for name in ("/etc/postfix/main.cf", "/etc/dovecot/dovecot.conf", "/etc/nginx/nginx.conf"):
        assert "/srv/c.pem" in files[name]["text"]
        assert "/srv/k.pem" in files[name]["text"]


def test_a_host_behind_nat_announces_its_public_address() -> None:
    """As a pair, because coturn would also announce a single address to clients that want IPv6."""
    settings = GOOD | {
        "addresses": {"ipv4": "198.51.100.7"},
        "turn": {"privateAddress": "192.168.1.2"},
    }
    files = evaluate(settings, pick=".rendered.files")

    wanted = "external-ip=198.51.100.7/192.168.1.2"
    assert wanted in files["/etc/chatmail/turnserver.conf"]["text"].splitlines()


def test_every_setting_says_what_it_does() -> None:
    """The option reference consists of these sentences."""
    for path, declaration in leaves(nix('import (relay + "/settings.nix")')):
        assert declaration["meaning"].strip().endswith("."), path


@pytest.mark.parametrize(
    ("mailbox", "message", "start"),
    [("500M", "30M", 75), ("100M", "30M", 68), ("60M", "30M", 48), ("500M", 65536, 75)],
)
def test_a_mailbox_always_has_room_for_the_largest_message(
    mailbox: str, message: object, start: int
) -> None:
    """Below the threshold nothing is trimmed, so a larger message would wait until it bounces."""
    settings = GOOD | {"mailbox": {"maxSize": mailbox}, "message": {"maxSize": message}}

    found = evaluate(settings, pick=".chatmaild.mailbox")

    assert (found["trimFrom"], found["trimTo"]) == (start, start - 5)
    warning = f'.dovecot."quota user"."warning storage{start}".quota_storage_percentage'
    assert evaluate(settings, pick=warning) == start


@pytest.mark.parametrize(("size", "messages"), [("500M", 64000), ("128K", 16)])
def test_the_number_of_messages_depends_on_the_quota(size: str, messages: int) -> None:
    """Each takes blocks and an inode; Dovecot and chatmail-trim use the same limit."""
    settings = GOOD | {"mailbox": {"maxSize": size}, "message": {"maxSize": "64K"}}

    found = evaluate(settings, pick=".chatmaild.mailbox")

    assert found["maxMessages"] == messages
    assert evaluate(settings, pick=".dovecot.quota_message_count") == messages
    start = found["trimFrom"]
    warning = evaluate(settings, pick=f'.dovecot."quota user"."warning message{start}"')
    assert (warning["resource"], warning["quota_message_percentage"]) == ("message", start)
    assert "quota_storage_percentage" not in warning


def test_metrics_listen_on_the_configured_port() -> None:
    """They are on loopback, and Prometheus gets the same port."""
    value = evaluate(GOOD | {"metrics": {"enable": True, "port": 9100}})

    socket = value["units"]["chatmail-metrics.socket"]["Socket"]
    assert socket["ListenStream"] == "127.0.0.1:9100"
    scraped = value["prometheus"]["scrapeConfig"]["static_configs"][0]
    assert scraped["targets"] == ["127.0.0.1:9100"]
    assert evaluate(GOOD, pick=".prometheus") == {}
