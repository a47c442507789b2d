"""Tests of nginx' configuration: its ports, and where it forwards connections."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data.relay_value import Value, evaluate

MINUTE = 60


def servers(value: Value) -> dict[str, list[str]]:
    """Return the servers of the stream context by the first port of each."""
    found: list[list[Any]] = [
        block["server"]
        for block in value["nginx"]["stream"]
        if isinstance(block, dict) and "server" in block
    ]
    return {re.sub(r"^listen | .*$", "", server[0]): server for server in found}


def said(server: list[str], directive: str) -> str | None:
    """Return the arguments of a server's directive."""
    words = [line.partition(" ")[2] for line in server if line.split()[0] == directive]
    assert len(words) < 2
    return words[0] if words else None


SUBMISSION = {"465": 20465, "587": 20587, "127.0.0.1:10465": 20465}


@pytest.mark.parametrize("port", SUBMISSION)
def test_submission_hides_the_client_from_postfix(value: Value, port: str) -> None:
    """STARTTLS and TLS do this, on their own ports and through port 443."""
    server = servers(value)[port]

    assert said(server, "proxy_pass") == f"127.0.0.1:{SUBMISSION[port]}"
    assert f"127.0.0.1:{SUBMISSION[port]}" in value["postfix"]["master"]
    assert said(server, "proxy_protocol") is None


@pytest.mark.parametrize("port", SUBMISSION)
def test_submission_is_limited_for_each_network(port: str) -> None:
    """All ports count together in one zone, because Postfix cannot count clients."""
    value = evaluate({"domain": "chat.example.org", "connections": {"perAddress": 7}})
    counted = next(line for line in value["nginx"]["stream"] if "limit_conn_zone" in line)

    assert said(servers(value)[port], "limit_conn") == "chatmail_submission 7"
    assert counted.startswith("limit_conn_zone $chatmail_network zone=chatmail_submission:")


@pytest.mark.parametrize("port", SUBMISSION)
def test_nginx_is_more_patient_than_postfix(value: Value, port: str) -> None:
    """A client that is silent for too long gets Postfix' reply."""
    patience = int(str(said(servers(value)[port], "proxy_timeout")).removesuffix("m")) * MINUTE

    assert value["postfix"]["main"]["smtpd_timeout"] == "${stress?{10}:{120}}s"
    assert patience > 120
    # Postfix' default of smtpd_starttls_timeout.
    assert patience > 300


def test_there_are_enough_connections_for_submission() -> None:
    """A submission takes two, or four through port 443, with a descriptor each."""
    most = {"imap": 1000000, "smtp": 100000, "perAddress": 100000}
    value = evaluate({"domain": "chat.example.org", "connections": most})
    connections = int(value["nginx"]["events"][0].removeprefix("worker_connections "))

    assert connections >= (2 + 4) * most["smtp"] + 16384
    assert value["dropins"]["nginx.service"]["Service"]["LimitNOFILE"] > connections


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"domain": "chat.example.org"},
    "echo": {"domain": "chat.example.org", "echo": {"enable": True}},
    "iroh": {"domain": "chat.example.org", "iroh": {"enable": True}},
    "metrics": {"domain": "chat.example.org", "metrics": {"enable": True}},
    "address": {"domain": "192.0.2.60"},
    "underscore": {"domain": "_chat.test"},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_gixy_finds_nothing_in_nginx_conf(name: str, tmp_path: Path) -> None:
    """Nixpkgs runs gixy at build time; a single finding would break every relay's build."""
    text = evaluate(VARIANTS[name], pick='.rendered.files."/etc/nginx/nginx.conf".text')
    file = tmp_path / "nginx.conf"
    # NixOS' writer leaves no space before a semicolon, and gixy would read one as part of a word.
    file.write_text(re.sub(r" +;", ";", text))

    judged = subprocess.run(
        [str(Path(sys.executable).parent / "gixy"), str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert judged.returncode == 0, judged.stdout
    assert "No issues found." in judged.stdout
