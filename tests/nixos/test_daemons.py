"""Tests of the daemons' configuration on NixOS: the same as in the container, except for paths."""

from __future__ import annotations

import re
from typing import Any

import pytest

from data.relay_value import evaluate
from nixos.evaluation import GOOD, Nixpkgs, chatmail, host, nix

Seen = dict[str, Any]
pytestmark = pytest.mark.usefixtures("nixpkgs")


@pytest.fixture(scope="module")
def seen(nixpkgs: Nixpkgs) -> Seen:
    """The relevant parts of a system with an ACME certificate."""
    found: Seen = nix(f"see.outcome {chatmail(GOOD)}")
    return found


@pytest.fixture(scope="module")
def self_signed(nixpkgs: Nixpkgs) -> Seen:
    """The relevant parts of a system with a self-signed certificate."""
    found: Seen = nix(f"see.outcome {chatmail({'domain': '_lab.test'})}")
    return found


@pytest.fixture(scope="module")
def container() -> dict[str, str]:
    """The files of the same relay in a container."""
    files = evaluate(GOOD, pick=".rendered.files")
    return {path: file["text"] for path, file in files.items()}


def differing(ours: str, theirs: str) -> tuple[set[str], set[str]]:
    """Return the lines that only one of two texts has, for each text."""
    here, there = set(ours.splitlines()), set(theirs.splitlines())
    return here - there, there - here


def names(lines: set[str]) -> set[str]:
    """Return the parameter of each line."""
    return {re.split(r"\s*=\s*|\s", line.strip())[0] for line in lines}


def test_postfix_parameters_equal_the_containers(seen: Seen, container: dict[str, str]) -> None:
    """So results of the container tests hold on NixOS."""
    here, there = differing(seen["texts"]["main"], container["/etc/postfix/main.cf"])

    assert names(there) == {
        # Debian's paths and programs.
        *("command_directory", "daemon_directory", "data_directory", "queue_directory"),
        # Dovecot's sockets are in /run/dovecot2 on NixOS.
        *("smtpd_sasl_path", "virtual_transport"),
    }
    assert names(here) - names(there) == {
        # NixOS' own parameters: each has Postfix' default as its value, or no effect on a relay.
        *("default_privs", "mynetworks_style", "relayhost"),
    }


def test_postfix_listeners_equal_the_containers(seen: Seen, container: dict[str, str]) -> None:
    """Columns and options of every SMTP service are equal."""
    pattern = re.compile(r"^(smtp|127[^ ]*) inet .*$", re.MULTILINE)
    here = sorted(m[0] for m in pattern.finditer(seen["texts"]["master"]))
    there = sorted(m[0] for m in pattern.finditer(container["/etc/postfix/master.cf"]))

    assert len(here) == 4
    assert here == there


def test_dovecot_settings_equal_the_containers(seen: Seen, container: dict[str, str]) -> None:
    """The tree is merged with the module's defaults without losses or reordering."""
    here, there = differing(seen["texts"]["dovecot"], container["/etc/dovecot/dovecot.conf"])

    assert there == {"    user = dovecot"}
    assert here == {
        "    user = dovecot2",
        "base_dir = /run/dovecot2",
        "default_internal_group = dovecot2",
        "default_internal_user = dovecot2",
        "mail_plugin_dir = /run/current-system/sw/lib/dovecot/modules",
        "maildir_copy_with_hardlinks = yes",
        "sendmail_path = /run/wrappers/bin/sendmail",
    }
    blocks = re.findall(r"^(?:pass|user)db .*$", seen["texts"]["dovecot"], re.MULTILINE)
    assert blocks == ["passdb sql {", "passdb oauth2 {", "userdb prefetch {", "userdb sql {"]


def test_dovecot_has_no_setting_of_a_missing_plugin(seen: Seen) -> None:
    """Some versions of the module set an option of Pigeonhole, and Dovecot then does not start."""
    assert "sieve" not in seen["texts"]["dovecot"]


def test_nginx_directives_equal_the_containers(seen: Seen, container: dict[str, str]) -> None:
    """All of our directives are there; services.nginx writes the rest of the file."""

    def directives(text: str) -> set[str]:
        return {line.strip() for line in text.splitlines()} - {""}

    here = directives(seen["texts"]["nginx"])
    there = directives(container["/etc/nginx/nginx.conf"])

    assert here <= there
    assert there - here == {
        *("include /etc/nginx/mime.types;", "include /etc/nginx/modules-enabled/*.conf;"),
        *("user www-data;", "pid /run/nginx.pid;"),
        "error_log stderr crit;",
        *("events {", "stream {", "http {"),
        # services.nginx writes it itself, and nginx accepts it only once.
        "server_tokens off;",
    }


def test_nginx_logs_little_and_reloads(seen: Seen) -> None:
    """Only messages from `crit` on reach the journal; a change of settings closes no connection."""
    nginx = nix(
        f"let n = {chatmail(GOOD)}.config.services.nginx; in "
        "{ inherit (n) logError enableReload virtualHosts; }"
    )

    assert nginx == {"logError": "stderr crit", "enableReload": True, "virtualHosts": {}}
    assert "access_log off;" in seen["texts"]["nginx"]


def test_other_websites_are_served_behind_port_443() -> None:
    """The stream context and a virtual host cannot both listen on that port."""
    listen = nix(
        host(
            '{ services.chatmail = { enable = true; domain = "_lab.test"; }; '
            'services.nginx.virtualHosts."blog.example.org" = { }; }'
        )
        + ".config.services.nginx.defaultListen"
    )

    assert [entry["port"] for entry in listen if entry["ssl"]] == [10443]
    assert all(entry["proxyProtocol"] == entry["ssl"] for entry in listen)


def test_any_setting_can_be_overridden() -> None:
    """Operators must not need a fork for unforeseen changes."""
    system = host(
        '{ services.chatmail = { enable = true; domain = "_lab.test"; }; '
        'services.postfix.settings.main.smtpd_timeout = lib.mkForce "60s"; '
        'services.dovecot2.settings."service lmtp".process_min_avail = lib.mkForce 7; '
        "services.unbound.settings.server.cache-max-negative-ttl = lib.mkForce 60; }"
    )
    seen = nix(f"see.outcome {system}")

    assert "smtpd_timeout = 60s\n" in seen["texts"]["main"]
    assert "  process_min_avail = 7\n" in seen["texts"]["dovecot"]
    assert '"cache-max-negative-ttl":60' in seen["texts"]["unbound"]


def test_the_resolver_keeps_nixos_trust_anchor(seen: Seen) -> None:
    """services.unbound maintains the trust anchor, and the relay defines everything else."""
    unbound = nix(f"{chatmail(GOOD)}.config.services.unbound.settings")

    assert unbound["server"]["auto-trust-anchor-file"] == "/var/lib/unbound/root.key"
    assert "trust-anchor-file" not in unbound["server"]
    assert unbound["server"]["cache-max-negative-ttl"] == 30


def test_acme_keeps_the_key_and_reloads_the_daemons(seen: Seen) -> None:
    """Clients remember the key; without a reload the daemons would use an expired certificate."""
    cert = seen["acme"]["certs"]["chat.example.org"]

    assert cert["extraLegoRenewFlags"] == ["--reuse-key"]
    assert cert["email"] == "operator@example.org"
    assert cert["group"] == "nginx"
    assert sorted(cert["extraDomainNames"]) == ["mta-sts.chat.example.org", "www.chat.example.org"]
    assert set(cert["reloadServices"]) == {"dovecot.service", "nginx.service", "postfix.service"}
    assert f"root {cert['webroot']};" in seen["texts"]["nginx"]


def test_daemons_start_after_their_certificate(seen: Seen, self_signed: Seen) -> None:
    """None of them starts without the files."""
    for daemon in ("postfix", "dovecot", "nginx"):
        for order in ("after", "wants"):
            assert "acme-chat.example.org.service" in seen["services"][daemon][order]
    assert "nginx.service" in seen["services"]["acme-order-renew-chat.example.org"]["after"]
    before = self_signed["services"]["chatmail-certificate"]["before"]
    assert {"dovecot.service", "nginx.service", "postfix.service"} <= set(before)


def test_nginx_can_read_a_self_signed_certificate(self_signed: Seen) -> None:
    """On NixOS nginx is never root; Postfix and Dovecot read the key as root."""
    service = self_signed["services"]["chatmail-certificate"]["serviceConfig"]

    assert service["Group"] == "nginx"
    assert service["User"] == "chatmail-certificate"
    assert service["StateDirectoryMode"] == "0750"
    assert "chatmail-certificate.service" in self_signed["services"]["nginx"]["after"]


def test_units_are_those_of_the_value(seen: Seen, container: dict[str, str]) -> None:
    """NixOS runs the sandbox that the container tests."""

    def lines(section: str, values: Seen) -> set[str]:
        return {
            f"{section}/{key}={('yes' if item else 'no') if isinstance(item, bool) else item}"
            for key, value in values.items()
            for item in (value if isinstance(value, list) else [value])
        }

    def parsed(text: str) -> set[str]:
        section, found = "", set()
        for line in text.splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            else:
                found.add(f"{section}/{line}")
        return found

    for path, text in container.items():
        if not (
            match := re.fullmatch(
                r"/etc/systemd/system/(chatmail-.*)\.(service|socket|timer)", path
            )
        ):
            continue
        name, kind = match.groups()
        unit = seen[f"{kind}s"][name]
        own = kind.title()
        here = lines(own, unit[f"{kind}Config"])
        there = {line for line in parsed(text) if line.startswith(f"{own}/")}
        different = {line.partition("=")[0] for line in here ^ there}
        programs = {"Service/ExecStart", "Service/ExecStartPre"}
        assert different <= programs | {"Socket/SocketGroup"}, path
        for key in ("after", "before", "wants", "requires"):
            wanted = {line for line in parsed(text) if line.startswith(f"Unit/{key.title()}=")}
            assert {f"Unit/{key.title()}={item}" for item in unit[key]} == wanted, path


def test_third_party_daemons_restart_by_themselves(seen: Seen) -> None:
    """By default they give up after some failures; an unattended relay must not."""
    for daemon in ("postfix", "dovecot", "nginx"):
        unit = seen["services"][daemon]
        assert unit["startLimitIntervalSec"] == 0
        assert unit["serviceConfig"]["Restart"] == "always"
        assert unit["serviceConfig"]["RestartSec"] == "1s"


def test_only_known_daemons_run_as_root(seen: Seen, self_signed: Seen) -> None:
    """A new unit without a user fails here."""
    roots = {
        # Their masters bind low ports, and their processes drop privileges.
        *("postfix", "dovecot"),
        # Units of nixpkgs itself.
        *("acme-chat.example.org", "acme-order-renew-chat.example.org"),
    }
    services = seen["services"] | self_signed["services"]

    users = {name: s["serviceConfig"].get("User", "root") for name, s in services.items()}

    assert {name for name, user in users.items() if user == "root"} == roots


def test_a_restarted_daemon_refuses_no_connection(seen: Seen) -> None:
    """A changed configuration restarts daemons, and their sockets stay open meanwhile."""
    for name, unit in seen["services"].items():
        if f"{name}.socket" in " ".join(unit["requires"]) or name == "chatmail-filter":
            assert unit["stopIfChanged"] is False, name
            assert "chat.example.org" in unit["restartTriggers"][0], name


READ_CHATMAILD_JSON = {
    *("chatmail-accounts", "chatmail-expire", "chatmail-filter", "chatmail-tls", "chatmail-trim"),
    *("chatmail-web", "chatmail-website"),
}


@pytest.mark.parametrize(
    ("settings", "readers"),
    [
        ({"sending": {"perMinute": 61}}, READ_CHATMAILD_JSON),
        ({"turn": {"minPort": 49153, "maxPort": 50152}}, {"chatmail-turn"}),
        ({"domain": "other.example.org"}, READ_CHATMAILD_JSON | {"chatmail-turn", "postfix"}),
        # NixOS' own modules restart or reload Dovecot, nginx and Postfix for their own files.
        ({"durable": False, "connections": {"perAddress": 51}}, set()),
    ],
    ids=["sending", "turn", "domain", "none"],
)
def test_a_setting_restarts_only_the_units_that_read_it(
    seen: Seen, settings: dict[str, Any], readers: set[str]
) -> None:
    """A switch ends no calls or sessions of other daemons."""
    changed: Seen = nix(f"(see.outcome {chatmail(GOOD | settings)}).services")
    differs = {
        name
        for name in changed.keys() & seen["services"].keys()
        if changed[name]["restartTriggers"] != seen["services"][name]["restartTriggers"]
    }

    assert differs == readers


def test_users_are_fixed_and_postfix_reaches_the_filter(seen: Seen) -> None:
    """Stored mail needs an owner that does not change; the filter's socket belongs to its group."""
    users, groups = seen["users"], seen["groups"]

    for name in ("vmail", "chatmail-filter", "chatmail-web"):
        assert users[name]["isSystemUser"]
        assert users[name]["group"] == name
        assert name in groups
    assert groups["chatmail-filter"]["members"] == ["postfix"]
    assert groups["chatmail-turn"]["members"] == ["vmail"]


# services.journald of each release: the relay's, an operator's own, and both together.
JOURNAL = {
    "26.05": (
        {"storage": "volatile", "extraConfig": "MaxRetentionSec=3day\n"},
        'services.journald = { storage = "auto"; extraConfig = "MaxRetentionSec=1day"; };',
        {"storage": "auto", "extraConfig": "MaxRetentionSec=3day\n\nMaxRetentionSec=1day"},
    ),
    "26.11": (
        {"settings": {"Journal": {"Storage": "volatile", "MaxRetentionSec": "3day"}}},
        'services.journald.settings.Journal = { Storage = "auto"; MaxRetentionSec = "1day"; };',
        {"settings": {"Journal": {"Storage": "auto", "MaxRetentionSec": "1day"}}},
    ),
}


def test_the_journal_is_in_memory_and_short(seen: Seen, nixpkgs: Nixpkgs) -> None:
    """Data that was never on disk needs no promise of deletion."""
    assert seen["journald"] == JOURNAL[nixpkgs.release][0]


def test_an_operator_can_configure_another_journal(nixpkgs: Nixpkgs) -> None:
    """MkForce is not needed: the last line in journald.conf counts."""
    _, settings, kept = JOURNAL[nixpkgs.release]
    system = host(f'{{ {settings} services.chatmail = {{ enable = true; domain = "_l.test"; }}; }}')

    assert nix(f"{system}.config.services.journald") == kept


INSTANCES, WATCHES = "fs.inotify.max_user_instances", "fs.inotify.max_user_watches"


def test_the_hosts_inotify_limits_are_not_lowered(seen: Seen) -> None:
    """NixOS' own limits exceed what a usual relay needs, and other programs may need them."""
    assert seen["sysctl"] == {INSTANCES: 524288, WATCHES: 524288}


def test_a_large_relay_raises_the_hosts_inotify_limits() -> None:
    """Otherwise the clients above the limit would not be notified of new mail."""
    large = chatmail(GOOD | {"connections": {"imap": 1000000}})

    assert nix(f"(see.outcome {large}).sysctl") == {INSTANCES: 2001024, WATCHES: 16008192}


def test_an_operator_sets_inotify_limits_without_a_conflict() -> None:
    """An ordinary definition on the host has priority, whether higher or lower."""
    system = host(
        '{ services.chatmail = { enable = true; domain = "_lab.test"; }; '
        f'boot.kernel.sysctl = {{ "{INSTANCES}" = 9000000; "{WATCHES}" = 70000; }}; }}'
    )

    assert nix(f"(see.outcome {system}).sysctl") == {INSTANCES: 9000000, WATCHES: 70000}


def test_the_host_uses_the_relays_resolver(seen: Seen) -> None:
    """DANE needs its DNSSEC validation."""
    system = chatmail(GOOD)
    unbound = nix(f"{system}.config.services.unbound.resolveLocalQueries")

    assert nix(f"{system}.config.services.chatmail.relay.resolver") == {"nameserver": "127.0.0.1"}
    assert unbound is True
