"""Tests of metrics on NixOS: a Prometheus on the same host is configured."""

from __future__ import annotations

import json

import pytest

from nixos.evaluation import GOOD, chatmail, nix

pytestmark = pytest.mark.usefixtures("nixpkgs")

METRICS = GOOD | {"metrics": {"enable": True}}


def test_a_prometheus_on_the_host_needs_no_configuration() -> None:
    """`services.prometheus.enable` is enough."""
    seen = nix(
        f"let p = {chatmail(METRICS)}.config.services.prometheus; in {{ inherit (p) scrapeConfigs; "
        "rules = map (file: file.parts.text) p.ruleFiles; }"
    )

    (job,) = seen["scrapeConfigs"]
    assert job["job_name"] == "chatmail"
    (target,) = job["static_configs"]
    assert target == {
        "targets": ["127.0.0.1:3903"],
        "labels": {"instance": "chat.example.org"},
    }
    (rules,) = seen["rules"]
    (group,) = json.loads(rules)["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(names) == len(set(names)) == 8
    for rule in group["rules"]:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["annotations"]["summary"].startswith("{{ $labels.instance }}: ")


def test_a_prometheus_elsewhere_gets_the_same_as_data() -> None:
    """`nix eval --json` of the relay's value prints what its configuration needs."""
    told = nix(f"{chatmail(METRICS)}.config.services.chatmail.relay.prometheus")

    assert told["scrapeConfig"]["static_configs"][0]["targets"] == ["127.0.0.1:3903"]
    assert told["rules"]["groups"][0]["name"] == "chatmail"


def test_metrics_are_off_by_default() -> None:
    """The firewall never opens the port."""
    seen = nix(
        f"let s = {chatmail(GOOD)}.config; in {{ inherit (s.services.prometheus) scrapeConfigs "
        "ruleFiles; sockets = lib.attrNames s.systemd.sockets; }"
    )
    ports = nix(f"{chatmail(METRICS)}.config.networking.firewall.allowedTCPPorts")

    assert (seen["scrapeConfigs"], seen["ruleFiles"]) == ([], [])
    assert not [name for name in seen["sockets"] if "metrics" in name or "numbers" in name]
    assert 3903 not in ports


def test_the_units_are_those_of_the_value() -> None:
    """Scrapes use a template unit with a socket and an unprivileged user."""
    seen = nix(
        f"let s = {chatmail(METRICS)}.config; in {{ "
        "socket = s.systemd.sockets.chatmail-metrics.socketConfig; "
        'service = { inherit (s.systemd.services."chatmail-metrics@") serviceConfig wantedBy; }; '
        "groups = lib.mapAttrs (_: g: g.members) s.users.groups; "
        "config = s.services.chatmail.relay.chatmaild; "
        "accounts = s.systemd.services.chatmail-accounts.requires; }"
    )

    assert seen["socket"]["Accept"] is True
    assert seen["socket"]["ListenStream"] == "127.0.0.1:3903"
    assert seen["service"]["serviceConfig"]["User"] == "chatmail-metrics"
    assert seen["service"]["wantedBy"] == []
    assert seen["groups"]["chatmail-filter"] == ["postfix", "chatmail-metrics"]
    assert seen["groups"]["postdrop"] == ["chatmail-metrics"]
    assert seen["config"]["metrics"]["postqueue"].endswith("-postfix/bin/postqueue")
    assert "chatmail-accounts-numbers.socket" in seen["accounts"]
