"""Claims about what the daemons get on NixOS: what they get in the container, but for paths."""

from __future__ import annotations

import re
from typing import Any

import pytest

from data.relay_value import evaluate
from nixos.evaluation import GOOD, chatmail, host, nix

Seen = dict[str, Any]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """What a system with an ACME certificate amounts to."""
    found: Seen = nix(f"see.outcome {chatmail(GOOD)}")
    return found


@pytest.fixture(scope="module")
def self_signed() -> Seen:
    """What a system with a certificate of its own making amounts to."""
    found: Seen = nix(f"see.outcome {chatmail({'domain': '_lab.test'})}")
    return found


@pytest.fixture(scope="module")
def container() -> dict[str, str]:
    """The files of the same relay in a container."""
    files = evaluate(GOOD, pick=".rendered.files")
    return {path: file["text"] for path, file in files.items()}


def differing(ours: str, theirs: str) -> tuple[set[str], set[str]]:
    """Lines that only one of two texts has, each text's own."""
    here, there = set(ours.splitlines()), set(theirs.splitlines())
    return here - there, there - here


def names(lines: set[str]) -> set[str]:
    """The parameter that each line is about."""
    return {re.split(r"\s*=\s*|\s", line.strip())[0] for line in lines}


def test_postfix_parameters_equal_the_containers(seen: Seen, container: dict[str, str]) -> None:
    """What the claims about a running relay prove in the container holds on NixOS."""
    here, there = differing(seen["texts"]["main"], container["/etc/postfix/main.cf"])

    assert names(there) == {
        # Debian's places and programs.
        *("command_directory", "daemon_directory", "data_directory", "queue_directory"),
        # Dovecot's sockets are in /run/dovecot2 on NixOS.
        *("smtpd_sasl_path", "virtual_transport"),
    }
    assert names(here) - names(there) == {
        # NixOS' own, each with Postfix' default as its value or without effect on a relay.
        *("default_privs", "mynetworks_style", "relayhost"),
    }


def test_postfix_listeners_equal_the_containers(seen: Seen, container: dict[str, str]) -> None:
    """Columns and options of every service that speaks SMTP to somebody."""
    pattern = re.compile(r"^(smtp|127[^ ]*) inet .*$", re.MULTILINE)
    here = sorted(m[0] for m in pattern.finditer(seen["texts"]["master"]))
    there = sorted(m[0] for m in pattern.finditer(container["/etc/postfix/master.cf"]))

    assert len(here) == 4
    assert here == there


def test_dovecot_settings_equal_the_containers(seen: Seen, container: dict[str, str]) -> None:
    """The tree merges with the module's defaults: no line is lost, passdb and userdb keep order."""
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


def test_dovecot_has_no_setting_of_a_plugin_that_is_not_there(seen: Seen) -> None:
    """Some versions of the module write a setting of Pigeonhole's; Dovecot then does not start."""
    assert "sieve" not in seen["texts"]["dovecot"]


def test_nginx_directives_equal_the_containers(seen: Seen, container: dict[str, str]) -> None:
    """All of ours, in some context; the rest of the file is services.nginx'."""

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
        # services.nginx says it itself, and nginx takes it once.
        "server_tokens off;",
    }


def test_nginx_says_little_and_reloads(seen: Seen) -> None:
    """Nothing below `crit` reaches the journal; a change of settings cuts no connection."""
    nginx = nix(
        f"let n = {chatmail(GOOD)}.config.services.nginx; in "
        "{ inherit (n) logError enableReload virtualHosts; }"
    )

    assert nginx == {"logError": "stderr crit", "enableReload": True, "virtualHosts": {}}
    assert "access_log off;" in seen["texts"]["nginx"]


def test_other_sites_of_the_host_are_served_behind_port_443() -> None:
    """Streams and a virtual host of the operator's cannot both listen there."""
    listen = nix(
        host(
            '{ services.chatmail = { enable = true; domain = "_lab.test"; }; '
            'services.nginx.virtualHosts."blog.example.org" = { }; }'
        )
        + ".config.services.nginx.defaultListen"
    )

    assert [entry["port"] for entry in listen if entry["ssl"]] == [10443]
    assert all(entry["proxyProtocol"] == entry["ssl"] for entry in listen)


def test_any_line_can_be_overridden() -> None:
    """What we did not foresee must not need a fork."""
    system = host(
        '{ services.chatmail = { enable = true; domain = "_lab.test"; }; '
        'services.postfix.settings.main.smtpd_timeout = lib.mkForce "60s"; '
        'services.dovecot2.settings."service lmtp".process_min_avail = lib.mkForce 7; '
        'services.journald.storage = "persistent"; }'
    )
    seen = nix(f"see.outcome {system}")

    assert "smtpd_timeout = 60s\n" in seen["texts"]["main"]
    assert "  process_min_avail = 7\n" in seen["texts"]["dovecot"]
    assert seen["journald"]["storage"] == "persistent"


def test_the_resolver_keeps_nixos_places(seen: Seen) -> None:
    """The trust anchor is services.unbound's, everything else the relay's."""
    unbound = nix(f"{chatmail(GOOD)}.config.services.unbound.settings")

    assert unbound["server"]["auto-trust-anchor-file"] == "/var/lib/unbound/root.key"
    assert "trust-anchor-file" not in unbound["server"]
    assert unbound["server"]["cache-max-negative-ttl"] == 30


def test_acme_keeps_the_key_and_tells_the_daemons(seen: Seen) -> None:
    """Clients remember the key; a certificate that nobody loads expires in the daemons."""
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


def test_nginx_can_read_a_certificate_of_the_relays_own_making(self_signed: Seen) -> None:
    """On NixOS nginx is never root; Postfix and Dovecot read the key while they are."""
    service = self_signed["services"]["chatmail-certificate"]["serviceConfig"]

    assert service["Group"] == "nginx"
    assert service["User"] == "chatmail-certificate"
    assert service["StateDirectoryMode"] == "0750"
    assert "chatmail-certificate.service" in self_signed["services"]["nginx"]["after"]


def test_units_are_the_values(seen: Seen, container: dict[str, str]) -> None:
    """The sandbox that the container tests is the sandbox that NixOS runs."""

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


def test_daemons_of_others_return_by_themselves(seen: Seen) -> None:
    """By default they give up after some failures; a relay that nobody looks after must not."""
    for daemon in ("postfix", "dovecot", "nginx"):
        unit = seen["services"][daemon]
        assert unit["startLimitIntervalSec"] == 0
        assert unit["serviceConfig"]["Restart"] == "always"
        assert unit["serviceConfig"]["RestartSec"] == "1s"


def test_no_daemon_runs_as_root_but_those_that_drop_it_themselves(
    seen: Seen, self_signed: Seen
) -> None:
    """A new unit without a user is seen here."""
    roots = {
        # Their masters bind low ports and give their rights away per process.
        *("postfix", "dovecot"),
        # nixpkgs' own.
        *("acme-chat.example.org", "acme-order-renew-chat.example.org"),
    }
    services = seen["services"] | self_signed["services"]

    users = {name: s["serviceConfig"].get("User", "root") for name, s in services.items()}

    assert {name for name, user in users.items() if user == "root"} == roots


def test_a_restarted_daemon_refuses_nobody(seen: Seen) -> None:
    """A changed configuration restarts the daemons, and their sockets stay meanwhile."""
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
    """A switch ends no call and no session of a daemon that it does not concern."""
    changed: Seen = nix(f"(see.outcome {chatmail(GOOD | settings)}).services")
    differs = {
        name
        for name in changed.keys() & seen["services"].keys()
        if changed[name]["restartTriggers"] != seen["services"][name]["restartTriggers"]
    }

    assert differs == readers


def test_users_are_fixed_and_postfix_reaches_the_filter(seen: Seen) -> None:
    """Mail that is kept needs an owner that stays; the filter's socket is its group's."""
    users, groups = seen["users"], seen["groups"]

    for name in ("vmail", "chatmail-filter", "chatmail-web"):
        assert users[name]["isSystemUser"]
        assert users[name]["group"] == name
        assert name in groups
    assert groups["chatmail-filter"]["members"] == ["postfix"]
    assert groups["chatmail-turn"]["members"] == ["vmail"]


def test_the_journal_is_in_memory_and_short(seen: Seen) -> None:
    """What is not written needs no promise to be deleted."""
    assert seen["journald"] == {"storage": "volatile", "extraConfig": "MaxRetentionSec=3day\n"}


def journald(settings: str, *, next_release: bool) -> Seen:
    """What services.journald amounts to, with more settings, on this NixOS or the next."""
    next_journald = 'imports = [ (repository + "/tests/nixos/stand-in/next/journald.nix") ];'
    found: Seen = nix(
        host(
            f"{{ {next_journald if next_release else ''} {settings} "
            'services.chatmail = { enable = true; domain = "_lab.test"; }; }'
        )
        + ".config.services.journald"
    )
    return found


def test_the_journal_is_the_same_on_the_next_nixos() -> None:
    """26.11 has one option for journald.conf where 26.05 has two, and takes neither of those."""
    seen = journald("", next_release=True)

    assert seen == {"settings": {"Journal": {"Storage": "volatile", "MaxRetentionSec": "3day"}}}


@pytest.mark.parametrize(
    ("settings", "next_release", "kept"),
    [
        (
            'services.journald = { storage = "auto"; extraConfig = "MaxRetentionSec=1day"; };',
            False,
            {"storage": "auto", "extraConfig": "MaxRetentionSec=3day\n\nMaxRetentionSec=1day"},
        ),
        (
            'services.journald.settings.Journal = { Storage = "auto"; MaxRetentionSec = "1day"; };',
            True,
            {"settings": {"Journal": {"Storage": "auto", "MaxRetentionSec": "1day"}}},
        ),
    ],
    ids=["26.05", "26.11"],
)
def test_an_operator_keeps_another_journal(
    settings: str, next_release: bool, kept: dict[str, Any]
) -> None:
    """Nothing has to be forced: of two lines in journald.conf the last one counts."""
    assert journald(settings, next_release=next_release) == kept


INSTANCES, WATCHES = "fs.inotify.max_user_instances", "fs.inotify.max_user_watches"


def test_the_hosts_inotify_limits_are_not_lowered(seen: Seen) -> None:
    """NixOS' own are above what a usual relay needs, and served others on the host, too."""
    assert seen["sysctl"] == {INSTANCES: 524288, WATCHES: 524288}


def test_a_large_relay_raises_the_hosts_inotify_limits() -> None:
    """Otherwise the clients above the limit would not be told of new mail."""
    large = chatmail(GOOD | {"connections": {"imap": 1000000}})

    assert nix(f"(see.outcome {large}).sysctl") == {INSTANCES: 2001024, WATCHES: 16008192}


def test_an_operator_sets_inotify_limits_without_a_conflict() -> None:
    """An ordinary definition on the host stands, whether it is more or less."""
    system = host(
        '{ services.chatmail = { enable = true; domain = "_lab.test"; }; '
        f'boot.kernel.sysctl = {{ "{INSTANCES}" = 9000000; "{WATCHES}" = 70000; }}; }}'
    )

    assert nix(f"(see.outcome {system}).sysctl") == {INSTANCES: 9000000, WATCHES: 70000}


def test_the_host_asks_the_relays_resolver(seen: Seen) -> None:
    """Without its answers about DNSSEC no destination has DANE."""
    system = chatmail(GOOD)
    unbound = nix(f"{system}.config.services.unbound.resolveLocalQueries")

    assert nix(f"{system}.config.services.chatmail.relay.resolver") == {"nameserver": "127.0.0.1"}
    assert unbound is True
