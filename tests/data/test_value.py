"""Tests of the value as a whole: it is pure and complete, and defines each fact once."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from data.relay_value import RELAY, EvaluationError, Value, evaluate, nix

GOOD: Value = {"domain": "chat.example.org"}
NIXOS = (
    '(import (relay + "/platforms/nixos.nix") { caBundle = "/ca"; mimeTypes = "/mime"; programs = '
    'builtins.mapAttrs (name: _: "/programs/${name}") '
    '(import (relay + "/platforms/debian.nix")).programs; })'
)


@pytest.mark.parametrize(
    "reaching_out", ["builtins.readFile /etc/hostname", "(import <nixpkgs/lib>).id 1"]
)
def test_a_file_that_reaches_out_of_the_relay_stops_the_evaluation(
    reaching_out: str, tmp_path: Path
) -> None:
    """So modules/relay stays independent of the system that evaluates it."""
    relay = tmp_path / "relay"
    shutil.copytree(RELAY, relay)
    (relay / "unbound.nix").write_text(f"_: builtins.seq ({reaching_out}) {{ }}")

    with pytest.raises(EvaluationError, match=r"restricted mode|not found in the Nix search path"):
        nix('(import relay { settings = { domain = "a.test"; }; }).rendered.files', relay)


def flat(data: object, path: str = "") -> dict[str, object]:
    """Return every leaf of nested data with its path."""
    if isinstance(data, dict):
        inner = [(f"{path}/{key}", v) for key, v in data.items()]
    elif isinstance(data, list):
        inner = [(f"{path}/{i}", v) for i, v in enumerate(data)]
    else:
        return {path: data}
    return {k: v for where, v in inner for k, v in flat(v, where).items()}


def test_nixos_and_debian_differ_only_in_paths_and_names() -> None:
    """Results of one system hold for the other; all differences are listed here."""
    parts = "v: { inherit (v) postfix dovecot nginx unbound units dropins users groups dns; }"
    debian, nixos = (
        flat(nix(f'({parts}) (import relay {{ settings.domain = "a.test"; platform = {p}; }})'))
        for p in ('"debian"', NIXOS)
    )

    differs = {k for k in debian.keys() | nixos.keys() if debian.get(k) != nixos.get(k)}

    assert {re.sub(r"/ExecStart$", "", k) for k in differs} == {
        # Directories and owners that services.postfix sets itself, and its standard services.
        *(f"/postfix/main/{name}" for name in ("command_directory", "daemon_directory")),
        *(f"/postfix/main/{name}" for name in ("data_directory", "queue_directory")),
        *(f"/postfix/main/{name}" for name in ("mail_owner", "setgid_group")),
        "/postfix/main/smtp_tls_CAfile",
        # Dovecot's runtime directory and user, and nginx' user.
        "/postfix/main/smtpd_sasl_path",
        "/postfix/main/virtual_transport",
        "/dovecot/service imap/unix_listener imap-master/user",
        "/units/chatmail-accounts-grant.socket/Socket/SocketGroup",
        "/units/chatmail-web.socket/Socket/SocketGroup",
        # services.unbound maintains the trust anchor itself.
        "/unbound/server/trust-anchor-file",
        # Programs.
        *(
            f"/units/chatmail-{name}.service/Service"
            for name in ("accounts", "filter", "tls", "web")
        ),
        "/units/chatmail-website.service/Service",
        *(f"/units/chatmail-{name}.service/Service" for name in ("expire", "trim")),
        "/units/chatmail-turn.service/Service",
        "/units/chatmail-turn.service/Service/ExecStartPre",
    }


def test_port_numbers_are_in_one_file() -> None:
    """A port that is written twice will be changed once."""
    numbers = nix(
        'let n = import (relay + "/names.nix") { settings = { domain = "a.b"; '
        'certificate.source = "acme"; }; platform = { etc = ""; state = ""; runtime = ""; '
        'dovecot.runtime = ""; }; }; in builtins.attrValues '
        "(n.ports // { a = n.proxied // n.local; })"
    )
    ports = {n for n in numbers if isinstance(n, int)} | set(
        next(n for n in numbers if isinstance(n, dict)).values()
    )
    assert 993 in ports

    for path in RELAY.rglob("*.nix"):
        prose = re.compile(r"#.*$|''.*?''|\"[^\"]*\"", re.DOTALL | re.MULTILINE)
        code = prose.sub("", path.read_text())
        if path.name != "names.nix":
            assert not {int(n) for n in re.findall(r"\b\d{2,5}\b", code)} & ports, path


def test_every_program_that_a_unit_starts_is_in_the_package(value: Value) -> None:
    """A missing program would fail only on the host."""
    project = tomllib.loads(
        (RELAY.parents[1] / "pkgs" / "chatmaild" / "pyproject.toml").read_text()
    )
    started = {
        unit["Service"]["ExecStart"].split()[0].rsplit("/", 1)[1]
        for unit in value["units"].values()
        if "Service" in unit
    }

    assert "chatmail-filter" in started
    assert started <= set(project["project"]["scripts"]) | {"turnserver"}


def test_the_package_builds_after_february_2027() -> None:
    """Until then setuptools accepts the license as a table; since version 77 also as a name."""
    project = tomllib.loads(
        (RELAY.parents[1] / "pkgs" / "chatmaild" / "pyproject.toml").read_text()
    )

    assert project["project"]["license"] == "MIT"
    (needed,) = (r for r in project["build-system"]["requires"] if r.startswith("setuptools"))
    assert int(needed.removeprefix("setuptools>=")) >= 77


def test_no_daemon_of_ours_runs_as_root_or_outside_a_sandbox(value: Value) -> None:
    """All units start from the same sandbox, and each exception is listed here."""
    baseline = nix('import (relay + "/hardening.nix")')
    allowed = {
        "chatmail-filter.service": {"PrivateNetwork", "RestrictAddressFamilies", "UMask"},
        "chatmail-accounts.service": {"ProcSubset", "PrivateNetwork", "RestrictAddressFamilies"},
        "chatmail-tls.service": {"PrivateNetwork", "RestrictAddressFamilies"},
        "chatmail-web.service": {"PrivateNetwork", "RestrictAddressFamilies"},
        "chatmail-expire.service": set(),
        "chatmail-trim.service": set(),
        "chatmail-website.service": {"UMask"},
        "chatmail-turn.service": {"PrivateNetwork", "RestrictAddressFamilies"},
    }
    services = {name: u["Service"] for name, u in value["units"].items() if "Service" in u}
    assert set(services) == set(allowed)

    for name, service in services.items():
        assert service["User"] not in ("", "root")
        differs = {key for key, wanted in baseline.items() if service.get(key) != wanted}
        assert differs == allowed[name]


def test_every_daemon_restarts_by_itself(value: Value) -> None:
    """A relay runs unattended, so no fault may end a daemon for good."""
    on_request = {"chatmail-trim.service"}  # Its socket starts it each time.
    for name in value["units"].keys() - on_request:
        unit = value["units"][name]
        if unit.get("Service", {}).get("Type") not in (None, "oneshot"):
            assert unit["Service"]["Restart"] == "always", name
    for name in ("postfix.service", "dovecot.service", "nginx.service", "unbound.service"):
        assert value["dropins"][name]["Service"]["Restart"] == "always"
        # By default systemd gives up on a unit that was started five times within ten seconds.
        assert value["dropins"][name]["Unit"]["StartLimitIntervalSec"] == 0


def test_no_service_has_a_start_limit() -> None:
    """After six expiry runs within ten seconds, the unit had failed, without the sixth run."""
    signed = {"certificate": {"source": "self-signed"}, "echo": {"enable": True}}
    units = evaluate(GOOD | signed, pick=".units")
    for name, unit in units.items():
        if name.endswith(".service"):
            assert unit["Unit"]["StartLimitIntervalSec"] == 0, name


def test_optional_programs_run_in_the_same_sandbox() -> None:
    """The echo bot and iroh-relay are optional, and can connect only to this host."""
    baseline = nix('import (relay + "/hardening.nix")')
    wanted = {"echo": {"enable": True}, "iroh": {"enable": True}}
    units = evaluate(GOOD | wanted, pick=".units")
    for name in ("chatmail-echo.service", "chatmail-iroh.service"):
        service = units[name]["Service"]
        differs = {key for key, value in baseline.items() if service.get(key) != value}
        assert differs == {"PrivateNetwork", "RestrictAddressFamilies"}
        assert (service["IPAddressDeny"], service["IPAddressAllow"]) == ("any", "localhost")
        assert service["Restart"] == "always"
    assert units["chatmail-website.path"]["Path"]["PathChanged"] == "/run/chatmail-echo/invite"


def test_no_unit_runs_as_root_with_all_parts_enabled() -> None:
    """All units use the sandbox."""
    baseline = nix('import (relay + "/hardening.nix")')
    everything = {
        "certificate": {"source": "self-signed"},
        **{part: {"enable": True} for part in ("echo", "iroh", "metrics", "push", "turn")},
    }
    units = evaluate(GOOD | everything, pick=".units")
    services = {name: unit["Service"] for name, unit in units.items() if "Service" in unit}

    assert {"chatmail-certificate.service", "chatmail-iroh.service"} < set(services)
    for name, service in services.items():
        assert service["User"].startswith("chatmail-") or service["User"] == "vmail", name
        assert set(baseline) <= set(service), name


def test_a_scrape_runs_in_the_same_sandbox(value: Value) -> None:
    """It does not exist on a relay without metrics."""
    baseline = nix('import (relay + "/hardening.nix")')
    measured = evaluate(GOOD | {"metrics": {"enable": True}})
    service = measured["units"]["chatmail-metrics@.service"]["Service"]
    differs = {key for key, wanted in baseline.items() if service.get(key) != wanted}

    assert differs == {"PrivateNetwork", "RestrictAddressFamilies"}
    assert (service["IPAddressDeny"], service["IPAddressAllow"]) == ("any", "localhost")
    assert service["User"] == "chatmail-metrics"
    assert set(measured["units"]) - set(value["units"]) == {
        "chatmail-metrics.socket",
        "chatmail-metrics@.service",
        "chatmail-accounts-numbers.socket",
    }


def test_no_key_material_in_the_value() -> None:
    """Values end up in the world-readable Nix store, so they contain only paths to secrets."""
    text = repr(evaluate({"domain": "_lab.test"}))

    assert "PRIVATE KEY" not in text


def test_dns_has_the_records_that_mail_needs(value: Value) -> None:
    """Without one of these, mail does not arrive or is not accepted elsewhere."""
    records = {(r["name"], r["type"]): r for r in value["dns"]["records"]}

    assert records["chat.example.org.", "MX"]["data"] == "10 chat.example.org."
    assert records["chat.example.org.", "MX"]["need"] == "required"
    assert records["mta-sts.chat.example.org.", "CNAME"]["need"] == "required"
    assert re.fullmatch(
        r"v=STSv1; id=[0-9a-z]{1,32}", records["_mta-sts.chat.example.org.", "TXT"]["data"]
    )
    assert records["_imaps._tcp.chat.example.org.", "SRV"]["data"] == "0 1 993 chat.example.org."
    assert records["chat.example.org.", "CAA"]["data"] == '0 issue "letsencrypt.org"'


def test_dkim_keys_are_a_list() -> None:
    """The daemons sign with, publish and check each of them in the same way."""
    both = evaluate(GOOD | {"dkim": {"ed25519": True}}, pick=".chatmaild.dkim")
    single = evaluate(GOOD, pick=".chatmaild.dkim")

    assert [(key["selector"], key["kind"], key["need"]) for key in both] == [
        ("opendkim", "rsa", "required"),
        ("ed25519", "ed25519", "recommended"),
    ]
    # A second key with the selector or the file of the first would never be used.
    assert len({key["selector"] for key in both}) == len({key["file"] for key in both}) == 2
    # The filter's state directory, and the file names on existing hosts.
    assert [key["file"] for key in both] == [
        "/var/lib/chatmail-filter/dkim.pem",
        "/var/lib/chatmail-filter/dkim-ed25519.pem",
    ]
    assert single == both[:1]
    assert any(key["signs"] for key in single)
    assert evaluate({"domain": "192.0.2.60"}, pick=".chatmaild.dkim") == []


def test_no_caa_record_for_certificate_files() -> None:
    """Operators may get their certificates from any authority."""
    files = {"certificate": {"source": "files", "file": "/c", "keyFile": "/k"}}
    for settings in ({"domain": "_lab.test"}, GOOD | files):
        assert "CAA" not in {r["type"] for r in evaluate(settings, pick=".dns.records")}


def test_status_checks_all_units_that_start_at_boot() -> None:
    """A relay whose TURN server had stopped was reported as fine."""
    optional = {name: {"enable": True} for name in ("turn", "iroh", "echo", "metrics")}
    asked = evaluate(GOOD | optional, pick=".chatmaild.units")
    units = evaluate(GOOD | optional, pick=".units")
    services = {name for name, unit in units.items() if "Install" in unit and "Service" in unit}

    assert services <= set(asked)
    assert {"chatmail-expire.timer", "chatmail-trim.socket"} <= set(asked)
    assert "chatmail-web.socket" not in asked
    without = {name: {"enable": False} for name in optional}
    assert "chatmail-turn.service" not in evaluate(GOOD | without, pick=".chatmaild.units")


def test_a_self_signed_relay_has_no_mta_sts() -> None:
    """Other servers could not fetch the policy over verified HTTPS."""
    names = {r["name"] for r in evaluate({"domain": "_lab.test"}, pick=".dns.records")}

    assert not any("mta-sts" in name for name in names)


def test_inotify_limits_of_a_host_are_not_lowered() -> None:
    """The kernel sets up to a million watches by itself, and other programs may need them."""
    limits = evaluate(GOOD, pick=".sysctl")

    assert limits["fs.inotify.max_user_watches"] == 1048576
    assert limits["fs.inotify.max_user_instances"] == 2 * 10000 + 1024


def test_durability_is_the_default_and_can_be_disabled() -> None:
    """By default an acknowledged message must survive a power failure."""
    assert evaluate(GOOD, pick=".dovecot.mail_fsync") == "optimized"
    assert evaluate(GOOD | {"durable": False}, pick=".dovecot.mail_fsync") == "never"


def test_files_that_units_read_exist() -> None:
    """A mistyped path would never trigger a restart."""
    everything = {part: {"enable": True} for part in ("echo", "iroh", "metrics", "push", "turn")}
    for settings in (GOOD, GOOD | everything, {"domain": "192.0.2.60"}):
        rendered = evaluate(settings, pick=".rendered")
        for unit, paths in rendered["reads"].items():
            assert set(paths) <= rendered["files"].keys(), unit
            assert len(paths) == len(set(paths)), unit


# Files that no unit reads at its start, with the reasons.
READ_OTHERWISE = {
    "/etc/chatmail/www/config-v1.1.xml": "nginx opens it for each request",
    "/etc/chatmail/www/mta-sts.txt": "nginx opens it for each request",
    "/etc/resolv.conf": "the C library of each process looks whether it has changed",
    "/etc/sysusers.d/chatmail.conf": "systemd-sysusers runs before the units are restarted",
}


def test_every_file_is_read_by_a_unit() -> None:
    """Unread files are not needed, and a missing entry would prevent a restart."""
    everything = {part: {"enable": True} for part in ("echo", "iroh", "metrics", "push", "turn")}
    rendered = evaluate(GOOD | everything, pick=".rendered")
    read = {path for paths in rendered["reads"].values() for path in paths}

    assert rendered["files"].keys() - read == READ_OTHERWISE.keys()


def test_our_programs_list_the_configuration_that_they_read() -> None:
    """The only exception uses paths that no setting changes, so that calls continue."""
    everything = {part: {"enable": True} for part in ("echo", "iroh", "metrics", "push", "turn")}
    units = evaluate(GOOD | everything | {"certificate": {"source": "self-signed"}}, pick=".units")
    config = "/etc/chatmail/chatmaild.json"
    for name, unit in units.items():
        started_with = f"--config {config}" in str(unit.get("Service", {}).get("ExecStart"))
        assert started_with == (config in unit.get("reads", [])), name

    turn = units["chatmail-turn.service"]
    assert f"--config {config}" in turn["Service"]["ExecStartPre"]
    assert turn["reads"] == ["/etc/chatmail/turnserver.conf"]
