"""Tests of services.chatmail: its options, its error messages, and the effect of settings."""

from __future__ import annotations

import re

import pytest

from data.relay_value import RELAY
from data.relay_value import nix as plain_nix
from data.settings import leaves, other, with_setting
from nixos.evaluation import GOOD, NIXOS, REPOSITORY, EvaluationError, Settings, chatmail, host, nix

pytestmark = pytest.mark.usefixtures("nixpkgs")


def settings_with(path: tuple[str, ...], value: object) -> Settings:
    """Return GOOD with one setting changed."""
    changed: Settings = with_setting(path, value)
    changed["certificate"] = GOOD["certificate"] | changed.get("certificate", {})
    return changed


def refusals(settings: Settings) -> list[str]:
    """Return the messages with which NixOS refuses to build."""
    found: list[str] = nix(f"{chatmail(settings)}.refusals")
    return found


def test_a_domain_and_an_address_for_acme_are_enough() -> None:
    """Two lines make a relay."""
    assert refusals(GOOD) == []


def test_a_lab_relay_needs_only_its_domain() -> None:
    """A `_` domain has no certificate from an authority."""
    assert refusals({"domain": "_lab.test"}) == []


def test_a_relay_without_a_domain_needs_only_an_ip_address() -> None:
    """It uses no authority and no subdomains; its certificate exists before the daemons start."""
    system = chatmail({"domain": "192.0.2.1"})
    seen = nix(f"see.outcome {system}")

    assert nix(f"{system}.refusals") == []
    assert seen["acme"]["certs"] == {}
    assert "chatmail-certificate" in seen["services"]
    assert "mydestination = [192.0.2.1]" in seen["texts"]["main"]
    assert "server_name 192.0.2.1;" in seen["texts"]["nginx"]
    assert "www." not in seen["texts"]["nginx"]


def test_a_relay_that_is_not_enabled_changes_nothing() -> None:
    """Importing the module must not start a mail server."""
    set_by_us = nix(
        f"let s = {host('{ }')}; in {{ inherit (s) refusals; units = s.config.systemd.services; "
        "ports = s.config.networking.firewall.allowedTCPPorts; "
        "etc = s.config.environment.etc; users = builtins.attrNames s.config.users.users; }"
    )

    assert set_by_us == {"refusals": [], "units": {}, "ports": [], "etc": {}, "users": ["root"]}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "`domain` is missing: set it to a domain name in lower case"),
        ({"domain": "Chat"}, '`domain` is "Chat", but must be a domain name'),
        (
            {"domain": "chat.example.org"},
            'set\n`services.chatmail.certificate.email = "you@example.org"`',
        ),
        (
            GOOD | {"accounts": {"nameMinLength": 12}},
            "`accounts.nameMinLength` (12) is above `accounts.nameMaxLength` (9)",
        ),
        (
            GOOD | {"certificate": {"source": "files"}},
            '`certificate.source = "files"` needs both `certificate.file` and',
        ),
        (
            {"domain": "_lab.test", "certificate": {"source": "acme"}},
            "no ACME authority issues a certificate for `_lab.test`",
        ),
        (
            {"domain": "192.0.2.1", "certificate": {"source": "acme"}},
            'set `certificate.source = "self-signed"`, or remove the setting',
        ),
        (GOOD | {"retention": {"largeMailDays": 30}}, "`retention.largeMailDays` (30) is above"),
        (GOOD | {"push": {"proxy": "here"}}, '`push.proxy` is "here", but must be a URL'),
    ],
)
def test_refuses_a_wrong_combination_with_one_sentence(settings: Settings, sentence: str) -> None:
    """The operator reads what to write instead, before anything is built."""
    found = refusals(settings)

    assert len(found) == 1
    assert found[0].startswith("services.chatmail: ")
    assert sentence in found[0]


@pytest.mark.parametrize(
    ("settings", "wants"),
    [
        ({"sending": {"perMinute": 0}}, "between 1 and 100000"),
        ({"mailbox": {"maxSize": "5 GB"}}, "unsigned integer"),
        ({"registration": "friends"}, '"open", "invite", "closed"'),
        ({"retention": {"mailDays": 0}}, "between 1 and 36500"),
        (
            {"certificate": {"keyFile": f"/nix/store/{'0' * 32}-key.pem"}},
            "outside the Nix store, because the store is read-only",
        ),
        ({"sending": {"perMinut": 5}}, "does not exist"),
    ],
)
def test_refuses_a_value_of_the_wrong_type(settings: Settings, wants: str) -> None:
    """NixOS names the option and the expected type."""
    with pytest.raises(EvaluationError, match=re.escape(wants)):
        refusals(GOOD | settings)


def test_every_setting_reaches_the_system() -> None:
    """A setting that nothing reads would be a broken promise."""
    together = {"certificate.source", "certificate.file", "certificate.keyFile", "metrics.port"}
    declared = {
        ".".join(path): (path, declaration)
        for path, declaration in leaves(plain_nix('import (relay + "/settings.nix")'))
        if ".".join(path) not in together | {"domain"}
    }
    # The usual other value is refused here, because it is below that for large mail.
    values = {"retention.mailDays": 30}
    systems = "; ".join(
        f'"{name}" = {chatmail(settings_with(path, values.get(name) or other(declaration)))}'
        for name, (path, declaration) in declared.items()
    )
    unread = nix(
        f"let usual = see.outcome {chatmail(GOOD)}; in lib.attrNames "
        f"(lib.filterAttrs (_: s: see.outcome s == usual) {{ {systems}; }})"
    )

    assert unread == []


@pytest.mark.parametrize("setting", ["website.pages", "website.root", "appVersions"])
def test_relative_paths_are_copied_to_the_host(setting: str) -> None:
    """Files in the operator's repository were refused; the closure must contain them."""
    system = host(
        '{ services.chatmail = { enable = true; domain = "_lab.test"; '
        f"{setting} = {REPOSITORY}/hosts/templates; }}; }}"
    )
    seen = nix(
        f'let s = {system}; c = s.config.environment.etc."chatmail/chatmaild.json".text; '
        "n = s.config.services.nginx.appendHttpConfig; in { inherit (s) refusals; "
        "texts = c + n; closure = lib.attrNames (builtins.getContext (c + n)); }"
    )

    assert seen["refusals"] == []
    (path,) = re.findall(r"/nix/store/[a-z0-9]{32}-templates", seen["texts"])[:1]
    assert path in seen["closure"]


def test_a_key_of_the_operators_repository_is_refused() -> None:
    """It would be copied to the store, which every user of the host can read."""
    key = f"{REPOSITORY}/flake.lock"
    system = host(
        '{ services.chatmail = { enable = true; domain = "a.example.org"; certificate = { '
        f'source = "files"; file = "/srv/c.pem"; keyFile = "${{{key}}}"; }}; }}; }}'
    )

    with pytest.raises(EvaluationError, match="outside the Nix store, because the store"):
        nix(f"{system}.refusals")


def test_package_options_have_an_effect() -> None:
    """The options that only NixOS has are read, too."""
    other = "nixpkgs.legacyPackages.x86_64-linux.coreutils"
    seen = nix(
        "let s = "
        + host(
            '{ services.chatmail = { enable = true; domain = "_lab.test"; iroh.enable = true; '
            f"package = {other}; dovecotPackage = {other}; irohPackage = {other}; }}; }}"
        )
        + ".config; run = name: s.systemd.services.${name}.serviceConfig.ExecStart; in { "
        'filter = run "chatmail-filter"; iroh = run "chatmail-iroh"; '
        "dovecot = s.services.dovecot2.package; tools = map (p: p.name) "
        "s.environment.systemPackages; }"
    )

    assert "-coreutils/bin/chatmail-filter " in seen["filter"]
    assert "-coreutils/bin/iroh-relay " in seen["iroh"]
    assert seen["dovecot"].endswith("-coreutils")
    assert "coreutils" in seen["tools"]


def test_certificate_files_are_used_as_they_are() -> None:
    """There is no authority, and no unit creates other files."""
    files = {"source": "files", "file": "/srv/c.pem", "keyFile": "/srv/k.pem"}
    seen = nix(f"see.outcome {chatmail(GOOD | {'certificate': files})}")

    assert seen["acme"]["certs"] == {}
    assert "chatmail-certificate" not in seen["services"]
    assert "/srv/k.pem, /srv/c.pem" in seen["texts"]["main"]
    assert "ssl_server_key_file = /srv/k.pem" in seen["texts"]["dovecot"]
    assert "ssl_certificate_key /srv/k.pem;" in seen["texts"]["nginx"]


def test_iroh_needs_only_to_be_enabled() -> None:
    """The module brings the program, and another one can be configured."""
    wanted = chatmail(GOOD | {"iroh": {"enable": True}})
    other = host(
        '{ services.chatmail = { enable = true; domain = "_lab.test"; iroh.enable = true; '
        "irohPackage = nixpkgs.legacyPackages.x86_64-linux.coturn; }; }"
    )
    start = "config.systemd.services.chatmail-iroh.serviceConfig.ExecStart"

    assert nix(f"{wanted}.refusals") == []
    assert "-iroh-relay/bin/iroh-relay --config-path " in nix(f"{wanted}.{start}")
    assert "-coturn/bin/iroh-relay " in nix(f"{other}.{start}")


def test_the_firewall_opens_the_relays_ports_unless_told_not_to() -> None:
    """Operators with another firewall can disable this."""
    ports = "config.networking.firewall.allowedTCPPorts"

    assert sorted(nix(f"{chatmail(GOOD)}.{ports}")) == [25, 80, 143, 443, 465, 587, 993]
    assert nix(f"{chatmail(GOOD | {'openFirewall': False})}.{ports}") == []
    ranges = "config.networking.firewall.allowedUDPPortRanges"
    turn = {"turn": {"minPort": 50000, "maxPort": 50100}}
    assert nix(f"{chatmail(GOOD | turn)}.{ranges}") == [
        {"from": 3478, "to": 3478},
        {"from": 50000, "to": 50100},
    ]
    assert nix(f"{chatmail(GOOD | {'turn': {'enable': False}})}.{ranges}") == []


def test_the_value_can_be_inspected() -> None:
    """`nixos-option services.chatmail.relay.dns` works without a running relay."""
    seen = nix(f"{chatmail(GOOD)}.config.services.chatmail.relay")

    assert seen["dns"]["records"]
    assert seen["problems"] == []


def all_systems() -> str:
    """Return all kinds of systems, which together use everything."""
    files = GOOD | {"certificate": {"source": "files", "file": "/srv/c", "keyFile": "/srv/k"}}
    return (
        f"[ {chatmail(GOOD)} {chatmail({'domain': '_lab.test'})} {chatmail(files)} "
        f"{chatmail(GOOD | {'metrics': {'enable': True}})} "
        '(see.directory "/hosts/example") (see.directory "/hosts/raspberry-pi") ]'
    )


# The stand-in has these because our modules read them.
READ = {
    "boot.loader.generic-extlinux-compatible.populateCmd",
    "security.pki.caBundle",
    "services.postfix.package",
    "services.nginx.defaultMimeTypes",
    "services.nginx.group",
    "system.build",
}


def test_the_stand_in_declares_what_we_set_and_nothing_else() -> None:
    """An unused declaration could hide a misspelling; an undeclared option does not evaluate."""
    seen = nix(
        f"let systems = {all_systems()}; in {{ "
        "declared = lib.unique (lib.concatMap see.allDeclared systems); "
        "set = lib.unique (lib.concatMap see.setByUs systems); }"
    )

    assert set(seen["declared"]) - set(seen["set"]) == READ
    assert set(seen["set"]) <= set(seen["declared"])


def test_options_inside_submodules_are_used_too() -> None:
    """Names below `systemd.services.<name>` and similar options are checked as well."""
    texts = "\n".join(
        path.read_text()
        for directory in ("modules", "hosts")
        for path in (REPOSITORY / directory).rglob("*.nix")
    )
    inner = nix(
        f"let o = {chatmail(GOOD)}.options; types = [ o.systemd.services.type "
        "o.systemd.sockets.type o.users.users.type o.users.groups.type "
        "o.security.acme.certs.type o.fileSystems.type o.environment.etc.type ]; "
        'inner = lib.concatMap (t: lib.optionAttrSetToDocList (t.getSubOptions [ "x" ])) types; '
        'in lib.unique (map (o: lib.last o.loc) (lib.filter (o: !lib.elem "_module" o.loc) inner))'
    )

    assert "serviceConfig" in inner
    for name in inner:
        assert re.search(rf"\b{name}\b", texts), name


def test_modules_do_not_force_the_operators_choices() -> None:
    """Modules must not set overlays or nixpkgs.*, and every mkForce needs a reason."""
    for path in (REPOSITORY / "modules").glob("*.nix"):
        text = path.read_text()
        assert "with lib;" not in text, path
        assert not re.search(r"^\s*nixpkgs\.", text, re.MULTILINE), path
        for match in re.finditer(r"mkForce", text):
            before = text[: match.start()].splitlines()[-4:]
            assert any(line.strip().startswith("#") for line in before), path


def test_the_stand_in_is_found() -> None:
    """After a move, the tests above would be skipped or pass without testing anything."""
    assert (NIXOS / "stand-in" / "default.nix").is_file()
    assert (RELAY / "settings.nix").is_file()
