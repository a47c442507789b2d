"""
Tests with real daemons: they accept the files that NixOS prints.

The files are those of NixOS (printing.nix), and the daemons are Debian's, in a machine of the lab.
Paths that only NixOS has are replaced by Debian's.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness.lab import Lab
from harness.machine import Machine
from nixos.evaluation import Nixpkgs, chatmail, nix

PRINTED = "/tmp/printed"
SETTINGS = {
    "domain": "chat.example.org",
    "privacy": {"mail": "operator@example.org"},
    "certificate": {
        "source": "files",
        "file": f"{PRINTED}/certificate.pem",
        "keyFile": f"{PRINTED}/key.pem",
    },
}
# NixOS' path -> Debian's.
PLACES = {
    "/run/current-system/sw/lib/dovecot/modules": "/usr/lib/dovecot/modules",
    "/run/wrappers/bin/sendmail": "/usr/sbin/sendmail",
    "/var/lib/postfix/queue": "/var/spool/postfix",
    "/var/lib/postfix/data": "/var/lib/postfix",
    "/var/lib/unbound": PRINTED,
}


@pytest.fixture(scope="module")
def machine(lab: Lab, nixpkgs: Nixpkgs) -> Machine:
    """A machine with the daemons' programs, and the users and files that the texts name."""
    found = lab.machine("printed.test")
    printed: dict[str, Any] = nix(
        f"let s = {chatmail(SETTINGS)}; c = s.config.services; print = import "
        '(repository + "/tests/nixos/printing.nix") { inherit lib; }; in { files = { '
        '"main.cf" = print.postfixMain c.postfix.settings.main; '
        '"master.cf" = print.postfixMaster (see.master s); '
        '"dovecot.conf" = print.dovecot c.dovecot2.settings; '
        '"nginx.conf" = print.nginx c.nginx; '
        '"unbound.conf" = print.unbound c.unbound.settings; }; '
        "etc = lib.mapAttrs (_: f: f.text) s.config.environment.etc; "
        "users = lib.attrNames s.config.users.users; }"
    )
    for user in printed["users"]:
        found.run(f"id -u {user} >/dev/null 2>&1 || useradd --system --user-group {user}")
    found.run(["mkdir", "-p", PRINTED])
    for name, text in printed["files"].items():
        for nixos, debian in PLACES.items():
            text = text.replace(nixos, debian)  # noqa: PLW2901
        found.write(f"{PRINTED}/{name}", text)
    for name, text in printed["etc"].items():
        found.write(f"/etc/{name}", text)
    pair = "-keyout key.pem -out certificate.pem -subj /CN=chat.example.org -days 9 -nodes"
    found.run(f"cd {PRINTED} && openssl req -x509 -newkey rsa:2048 {pair} 2>/dev/null")
    return found


def test_postfix_reads_its_parameters(machine: Machine) -> None:
    """No parameter is unknown, and lists have the right values."""
    said = machine.run(["postconf", "-c", PRINTED, "-n"])

    assert said.err == ""
    assert "mydestination =\n" in said.out
    assert f"smtpd_tls_chain_files = {PRINTED}/key.pem, {PRINTED}/certificate.pem\n" in said.out


def test_postfix_reads_its_services(machine: Machine) -> None:
    """Options in braces are still one argument per line."""
    said = machine.run(["postconf", "-c", PRINTED, "-M"])
    options = machine.run(["postconf", "-c", PRINTED, "-P"]).out

    assert said.err == ""
    for line in (
        "127.0.0.1:20465/inet/smtpd_client_restrictions = permit_sasl_authenticated, reject",
        "127.0.0.1:10025/inet/smtpd_upstream_proxy_protocol = haproxy",
    ):
        assert line in options


def test_dovecot_reads_its_configuration(machine: Machine) -> None:
    """Scalars precede blocks, booleans are lists, and passdb blocks keep their order."""
    said = machine.run(["doveconf", "-n", "-c", f"{PRINTED}/dovecot.conf"])

    assert "Error" not in said.err
    assert said.out.index("passdb sql") < said.out.index("passdb oauth2")
    assert "base_dir = /run/dovecot2" in said.out


def test_nginx_accepts_the_file_with_another_website(machine: Machine) -> None:
    """No directive is duplicated, and port 443 is shared."""
    module = "load_module modules/ngx_stream_module.so;"
    said = machine.run(["nginx", "-t", "-c", f"{PRINTED}/nginx.conf", "-g", module])

    assert "test is successful" in said.err


def test_unbound_accepts_its_file(machine: Machine) -> None:
    """Words that are quoted in the container have no quotes here."""
    # Debian's own trust anchor, at NixOS' path.
    machine.run(["cp", "/usr/share/dns/root.key", PRINTED])

    assert "no errors" in machine.run(["unbound-checkconf", f"{PRINTED}/unbound.conf"]).out
