"""Claims about nginx' configuration: what it takes on which port, and hands on to whom."""

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
    """The servers of the stream context by the first port that each listens on."""
    found: list[list[Any]] = [
        block["server"]
        for block in value["nginx"]["stream"]
        if isinstance(block, dict) and "server" in block
    ]
    return {re.sub(r"^listen | .*$", "", server[0]): server for server in found}


def said(server: list[str], directive: str) -> str | None:
    """What a server says after the name of a directive."""
    words = [line.partition(" ")[2] for line in server if line.split()[0] == directive]
    assert len(words) < 2
    return words[0] if words else None


SUBMISSION = {"465": 20465, "587": 20587, "127.0.0.1:10465": 20465}


@pytest.mark.parametrize("port", SUBMISSION)
def test_submission_reaches_postfix_without_a_word_of_the_client(value: Value, port: str) -> None:
    """In clear text or with TLS, on its own port or out of port 443: as nobody's in particular."""
    server = servers(value)[port]

    assert said(server, "proxy_pass") == f"127.0.0.1:{SUBMISSION[port]}"
    assert f"127.0.0.1:{SUBMISSION[port]}" in value["postfix"]["master"]
    assert said(server, "proxy_protocol") is None


@pytest.mark.parametrize("port", SUBMISSION)
def test_submission_is_limited_for_each_network(port: str) -> None:
    """All ports count together, in one zone; Postfix cannot count."""
    value = evaluate({"domain": "chat.example.org", "connections": {"perAddress": 7}})
    counted = next(line for line in value["nginx"]["stream"] if "limit_conn_zone" in line)

    assert said(servers(value)[port], "limit_conn") == "chatmail_submission 7"
    assert counted.startswith("limit_conn_zone $chatmail_network zone=chatmail_submission:")


@pytest.mark.parametrize("port", SUBMISSION)
def test_nginx_is_more_patient_than_postfix(value: Value, port: str) -> None:
    """A client hears Postfix' reply when it was silent for too long, not nothing."""
    patience = int(str(said(servers(value)[port], "proxy_timeout")).removesuffix("m")) * MINUTE

    assert value["postfix"]["main"]["smtpd_timeout"] == "${stress?{10}:{120}}s"
    assert patience > 120
    # smtpd_starttls_timeout of Postfix, by default.
    assert patience > 300


def test_there_are_connections_for_all_who_may_send() -> None:
    """Two for each, and four for who comes by port 443; and descriptors for them."""
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
    """At build time nixpkgs runs it on nginx.conf; one finding stops every relay from building."""
    text = evaluate(VARIANTS[name], pick='.rendered.files."/etc/nginx/nginx.conf".text')
    file = tmp_path / "nginx.conf"
    # NixOS' writer leaves no blank before a semicolon, and gixy reads one as part of a word.
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
