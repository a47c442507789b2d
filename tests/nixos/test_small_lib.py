"""Tests of small-lib/: systems evaluated with it equal those that nixpkgs' lib makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nixos.evaluation import (
    GOOD,
    NIXOS,
    RELEASES,
    SMALL_LIB,
    EvaluationError,
    Nixpkgs,
    chatmail,
    find_lib,
    host,
    how_to_get_lib,
    nix,
)

FILES = {"source": "files", "file": "/srv/c", "keyFile": "/srv/k"}
VM = "nixpkgs.legacyPackages.aarch64-linux.testers.runNixOSTest (import {} {})"
PKGS = "{ inherit lib; pkgs = nixpkgs.legacyPackages.aarch64-linux; }"
SYSTEMS = {
    "acme": chatmail(GOOD),
    "self-signed": chatmail({"domain": "_lab.test"}),
    "address": chatmail({"domain": "192.0.2.1"}),
    "files": chatmail(GOOD | {"certificate": FILES}),
    "everything": chatmail(
        GOOD | {"metrics": {"enable": True}, "iroh": {"enable": True}, "echo": {"enable": True}}
    ),
    "refused": chatmail({"domain": "Chat", "push": {"proxy": "here"}}),
    "off": host("{ }"),
    # What an operator may write.
    "overridden": host(
        '{ services.chatmail = { enable = true; domain = "_lab.test"; }; '
        'services.postfix.settings.main = lib.mkIf true { smtpd_timeout = lib.mkForce "60s"; }; '
        "environment.systemPackages = lib.mkAfter [ nixpkgs.legacyPackages.x86_64-linux.postfix ]; "
        'services.dovecot2.settings."service lmtp" = lib.mkMerge [ '
        "{ process_min_avail = lib.mkForce 7; } (lib.mkIf false { undefined = throw 1; }) ]; "
        'boot.kernel.sysctl."fs.inotify.max_user_watches" = 70000; '
        "networking.firewall.allowedTCPPorts = lib.mkBefore [ 22 ]; }"
    ),
    "example": '(see.directory "/hosts/example")',
    "raspberry-pi": '(see.directory "/hosts/raspberry-pi")',
}


@pytest.fixture(scope="module")
def real_lib() -> Path:
    """The directory of nixpkgs' lib."""
    found = find_lib()
    if found is None:
        pytest.skip(f"small-lib has nothing to be compared with: {how_to_get_lib()}")
    return found


@pytest.mark.parametrize("release", RELEASES)
def test_systems_equal_those_of_nixpkgs_lib(real_lib: Path, release: str) -> None:
    """Every value is compared: texts, units in their order, users, messages."""
    systems = "; ".join(f'"{name}" = see.outcome {system}' for name, system in SYSTEMS.items())
    expression = f"{{ {systems}; }}"
    small = nix(expression, Nixpkgs(SMALL_LIB, release))

    assert json.dumps(small["acme"]).count("chat.example.org") > 20
    assert small["refused"]["refusals"]
    assert small == nix(expression, Nixpkgs(real_lib, release))


@pytest.mark.parametrize("release", RELEASES)
def test_vm_tests_equal_those_of_nixpkgs_lib(real_lib: Path, release: str) -> None:
    """Their nodes use more: nested declarations, deferred modules, specialisations."""
    tests = " ".join(
        f"({VM.format(path, PKGS)})" for path in sorted((NIXOS / "vm").glob("[!l]*.nix"))
    )
    expression = (
        "map (t: { script = builtins.unsafeDiscardStringContext t.testScript; "
        f"nodes = lib.mapAttrs (_: see.outcome) t.nodes; }}) [ {tests} ]"
    )
    small = nix(expression, Nixpkgs(SMALL_LIB, release))

    assert len(small) >= 5
    assert small == nix(expression, Nixpkgs(real_lib, release))


@pytest.mark.parametrize("release", RELEASES)
def test_options_equal_those_of_nixpkgs_lib(real_lib: Path, release: str) -> None:
    """The option reference has the same types, defaults and declarations."""
    expression = (
        "map (o: o // { declarations = map toString o.declarations; }) (lib.filter (o: "
        'lib.hasPrefix "services.chatmail" o.name) (lib.optionAttrSetToDocList '
        "(see.host { }).options))"
    )
    small = {option["name"]: option for option in nix(expression, Nixpkgs(SMALL_LIB, release))}
    real = {option["name"]: option for option in nix(expression, Nixpkgs(real_lib, release))}

    assert len(small) > 40
    for options in (small, real):
        for option in options.values():
            for value in (option.get("default", {}), option.get("example", {})):
                # Lines break elsewhere.
                value["text"] = " ".join(value.get("text", "").split())
    assert small == real


REFUSED = {
    "unknown": "{ services.chatmail.domian = 1; }",
    "type": '{ services.chatmail = { enable = true; domain = "_l.test"; sending.burst = "x"; }; }',
    "conflict": '{ systemd.services.nginx = lib.mkMerge [ { path = [ ]; } { path = "2"; } ]; }',
    "read-only": "{ services.chatmail.relay = { }; }",
    "argument": "{ imports = [ ({ absent, ... }: { environment.etc.x.text = absent; }) ]; }",
    "null": '{ environment.etc = lib.mkMerge [ { x.text = null; } { x.text = "y"; } ]; }',
    "port": "{ networking.firewall.allowedTCPPorts = [ 65536 ]; }",
    "empty list": "{ services.dovecot2.settings.x = [ ]; }",
}


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse_the_same(name: str) -> None:
    """A lib that accepts too much would let wrong wiring pass."""
    for lib in filter(None, (SMALL_LIB, find_lib())):
        with pytest.raises(EvaluationError):
            nix(f"see.outcome (see.host {REFUSED[name]})", Nixpkgs(lib, RELEASES[0]))
