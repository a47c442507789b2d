"""Claims about the value as a whole: pure, complete, each fact once."""

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
    """The wall between the relay and the system it is evaluated on is this test."""
    relay = tmp_path / "relay"
    shutil.copytree(RELAY, relay)
    (relay / "unbound.nix").write_text(f"_: builtins.seq ({reaching_out}) {{ }}")

    with pytest.raises(EvaluationError, match=r"restricted mode|not found in the Nix search path"):
        nix('(import relay { settings = { domain = "a.test"; }; }).rendered.files', relay)


def flat(data: object, path: str = "") -> dict[str, object]:
    """Every leaf of nested data with its path."""
    if isinstance(data, dict):
        inner = [(f"{path}/{key}", v) for key, v in data.items()]
    elif isinstance(data, list):
        inner = [(f"{path}/{i}", v) for i, v in enumerate(data)]
    else:
        return {path: data}
    return {k: v for where, v in inner for k, v in flat(v, where).items()}


def test_nixos_and_debian_differ_only_in_paths_and_names() -> None:
    """What is proven on one system holds on the other; whatever differs is listed here."""
    parts = "v: { inherit (v) postfix dovecot nginx unbound units dropins users groups dns; }"
    debian, nixos = (
        flat(nix(f'({parts}) (import relay {{ settings.domain = "a.test"; platform = {p}; }})'))
        for p in ('"debian"', NIXOS)
    )

    differs = {k for k in debian.keys() | nixos.keys() if debian.get(k) != nixos.get(k)}

    assert {re.sub(r"/ExecStart$", "", k) for k in differs} == {
        # Directories and owners that services.postfix sets itself, and its stock services.
        *(f"/postfix/main/{name}" for name in ("command_directory", "daemon_directory")),
        *(f"/postfix/main/{name}" for name in ("data_directory", "queue_directory")),
        *(f"/postfix/main/{name}" for name in ("mail_owner", "setgid_group")),
        "/postfix/main/smtp_tls_CAfile",
        # Dovecot's runtime directory and user, nginx' user.
        "/postfix/main/smtpd_sasl_path",
        "/postfix/main/virtual_transport",
        "/dovecot/service imap/unix_listener imap-master/user",
        "/units/chatmail-accounts-grant.socket/Socket/SocketGroup",
        "/units/chatmail-web.socket/Socket/SocketGroup",
        # services.unbound keeps the trust anchor itself.
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


def test_port_numbers_stand_in_one_file() -> None:
    """A port written twice is a port changed once."""
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
    """A unit for a program that the package does not have would fail on the host, not here."""
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
    """Until then setuptools takes the license as a table; as a name it takes it since 77."""
    project = tomllib.loads(
        (RELAY.parents[1] / "pkgs" / "chatmaild" / "pyproject.toml").read_text()
    )

    assert project["project"]["license"] == "MIT"
    (needed,) = (r for r in project["build-system"]["requires"] if r.startswith("setuptools"))
    assert int(needed.removeprefix("setuptools>=")) >= 77


def test_no_daemon_of_ours_runs_as_root_or_outside_a_sandbox(value: Value) -> None:
    """Every unit starts from the same sandbox; a new exception has to be named here."""
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


def test_every_daemon_returns_by_itself(value: Value) -> None:
    """A relay runs unattended: no fault may end a daemon for good."""
    on_request = {"chatmail-trim.service"}  # Its socket starts it each time.
    for name in value["units"].keys() - on_request:
        unit = value["units"][name]
        if unit.get("Service", {}).get("Type") not in (None, "oneshot"):
            assert unit["Service"]["Restart"] == "always", name
    for name in ("postfix.service", "dovecot.service", "nginx.service", "unbound.service"):
        assert value["dropins"][name]["Service"]["Restart"] == "always"
        # Otherwise systemd gives up what it has started five times within ten seconds.
        assert value["dropins"][name]["Unit"]["StartLimitIntervalSec"] == 0


def test_no_service_is_refused_for_having_been_started_too_often() -> None:
    """Six nightly runs within ten seconds left the unit failed, and the sixth undone."""
    signed = {"certificate": {"source": "self-signed"}, "echo": {"enable": True}}
    units = evaluate(GOOD | signed, pick=".units")
    for name, unit in units.items():
        if name.endswith(".service"):
            assert unit["Unit"]["StartLimitIntervalSec"] == 0, name


def test_programs_of_the_operators_run_in_the_same_sandbox() -> None:
    """The echo bot and iroh-relay are on request, and reach nothing but this host."""
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


def test_no_unit_runs_as_root_whatever_is_switched_on() -> None:
    """Nor outside the sandbox that all of them start from."""
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
    """And is no part of a relay that nobody measures."""
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
    """Values end in the world-readable Nix store; they carry paths to secrets, never a secret."""
    text = repr(evaluate({"domain": "_lab.test"}))

    assert "PRIVATE KEY" not in text


def test_dns_has_what_mail_needs(value: Value) -> None:
    """Without one of these, mail does not come in or is not believed elsewhere."""
    records = {(r["name"], r["type"]): r for r in value["dns"]["records"]}

    assert records["chat.example.org.", "MX"]["data"] == "10 chat.example.org."
    assert records["chat.example.org.", "MX"]["need"] == "required"
    assert records["mta-sts.chat.example.org.", "CNAME"]["need"] == "required"
    assert re.fullmatch(
        r"v=STSv1; id=[0-9a-z]{1,32}", records["_mta-sts.chat.example.org.", "TXT"]["data"]
    )
    assert records["_imaps._tcp.chat.example.org.", "SRV"]["data"] == "0 1 993 chat.example.org."
    assert records["chat.example.org.", "CAA"]["data"] == '0 issue "letsencrypt.org"'


def test_dkim_keys_are_a_list_of_things() -> None:
    """The daemons sign with, publish and look after each of them, without knowing which."""
    both = evaluate(GOOD | {"dkim": {"ed25519": True}}, pick=".chatmaild.dkim")
    single = evaluate(GOOD, pick=".chatmaild.dkim")

    assert [(key["selector"], key["kind"], key["need"]) for key in both] == [
        ("opendkim", "rsa", "required"),
        ("ed25519", "ed25519", "recommended"),
    ]
    # A second key with the selector or the file of the first one would never be used.
    assert len({key["selector"] for key in both}) == len({key["file"] for key in both}) == 2
    # The filter keeps its state there, and the names of files are those that hosts have.
    assert [key["file"] for key in both] == [
        "/var/lib/chatmail-filter/dkim.pem",
        "/var/lib/chatmail-filter/dkim-ed25519.pem",
    ]
    assert single == both[:1]
    assert any(key["signs"] for key in single)
    assert evaluate({"domain": "192.0.2.60"}, pick=".chatmaild.dkim") == []


def test_who_has_a_certificate_of_their_own_may_have_it_from_anybody() -> None:
    """A CAA record of ours would forbid it to whoever wrote it."""
    files = {"certificate": {"source": "files", "file": "/c", "keyFile": "/k"}}
    for settings in ({"domain": "_lab.test"}, GOOD | files):
        assert "CAA" not in {r["type"] for r in evaluate(settings, pick=".dns.records")}


def test_status_asks_about_all_that_starts_with_the_machine() -> None:
    """A TURN server that has ended is a relay without calls, and was called well."""
    optional = {name: {"enable": True} for name in ("turn", "iroh", "echo", "metrics")}
    asked = evaluate(GOOD | optional, pick=".chatmaild.units")
    units = evaluate(GOOD | optional, pick=".units")
    services = {name for name, unit in units.items() if "Install" in unit and "Service" in unit}

    assert services <= set(asked)
    assert {"chatmail-expire.timer", "chatmail-trim.socket"} <= set(asked)
    assert "chatmail-web.socket" not in asked
    without = {name: {"enable": False} for name in optional}
    assert "chatmail-turn.service" not in evaluate(GOOD | without, pick=".chatmaild.units")


def test_a_self_signed_relay_promises_no_mta_sts() -> None:
    """A policy that nobody can fetch over verified HTTPS would only look like one."""
    names = {r["name"] for r in evaluate({"domain": "_lab.test"}, pick=".dns.records")}

    assert not any("mta-sts" in name for name in names)


def test_inotify_limits_of_a_host_are_not_lowered() -> None:
    """Its kernel gives up to a million watches by itself; other programs may need them."""
    limits = evaluate(GOOD, pick=".sysctl")

    assert limits["fs.inotify.max_user_watches"] == 1048576
    assert limits["fs.inotify.max_user_instances"] == 2 * 10000 + 1024


def test_durability_is_the_default_and_can_be_given_up() -> None:
    """An acknowledged message must survive a power cut, unless the operator says otherwise."""
    assert evaluate(GOOD, pick=".dovecot.mail_fsync") == "optimized"
    assert evaluate(GOOD | {"durable": False}, pick=".dovecot.mail_fsync") == "never"


def test_what_a_unit_reads_is_there() -> None:
    """A path with a typing error would never restart anything."""
    everything = {part: {"enable": True} for part in ("echo", "iroh", "metrics", "push", "turn")}
    for settings in (GOOD, GOOD | everything, {"domain": "192.0.2.60"}):
        rendered = evaluate(settings, pick=".rendered")
        for unit, paths in rendered["reads"].items():
            assert set(paths) <= rendered["files"].keys(), unit
            assert len(paths) == len(set(paths)), unit


# Files that no unit reads when it starts, and why that is right.
READ_OTHERWISE = {
    "/etc/chatmail/www/config-v1.1.xml": "nginx opens it for each request",
    "/etc/chatmail/www/mta-sts.txt": "nginx opens it for each request",
    "/etc/resolv.conf": "the C library of each process looks whether it has changed",
    "/etc/sysusers.d/chatmail.conf": "systemd-sysusers runs before the units are restarted",
}


def test_every_file_is_read_by_a_unit() -> None:
    """What nobody reads is not needed; what is read and not listed would not restart its reader."""
    everything = {part: {"enable": True} for part in ("echo", "iroh", "metrics", "push", "turn")}
    rendered = evaluate(GOOD | everything, pick=".rendered")
    read = {path for paths in rendered["reads"].values() for path in paths}

    assert rendered["files"].keys() - read == READ_OTHERWISE.keys()


def test_programs_of_ours_read_the_configuration_that_they_are_started_with() -> None:
    """The one exception takes paths from it, which no setting changes: calls go on."""
    everything = {part: {"enable": True} for part in ("echo", "iroh", "metrics", "push", "turn")}
    units = evaluate(GOOD | everything | {"certificate": {"source": "self-signed"}}, pick=".units")
    config = "/etc/chatmail/chatmaild.json"
    for name, unit in units.items():
        started_with = f"--config {config}" in str(unit.get("Service", {}).get("ExecStart"))
        assert started_with == (config in unit.get("reads", [])), name

    turn = units["chatmail-turn.service"]
    assert f"--config {config}" in turn["Service"]["ExecStartPre"]
    assert turn["reads"] == ["/etc/chatmail/turnserver.conf"]
