"""Tests of the lab's certificates."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from harness.lab import Lab


def handshake(lab: Lab, directory: Path, name: str, certificate: tuple[str, str]) -> None:
    """Connect to `name` with a client that trusts the lab's CA; raises what the client raises."""
    for file, text in zip(("chain", "key"), certificate, strict=True):
        (directory / file).write_text(text)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(directory / "chain", directory / "key")
    calling = ssl.create_default_context(cafile=str(lab.ca.certificate_file))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            serving.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        calling.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", ["chat.test", "www.chat.test", "192.0.2.9", "2001:db8::9"])
def test_a_certificate_is_valid_for_each_of_its_names(lab: Lab, tmp_path: Path, name: str) -> None:
    """These are DNS names and IP addresses."""
    leaf = lab.ca.certificate("chat.test", "www.chat.test", "192.0.2.9", "2001:db8::9")

    handshake(lab, tmp_path, name, leaf)


def test_a_certificate_is_valid_for_no_other_name(lab: Lab, tmp_path: Path) -> None:
    """Otherwise a test of verification would prove nothing."""
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(lab, tmp_path, "other.test", lab.ca.certificate("chat.test"))


def test_a_renewal_keeps_the_key(lab: Lab) -> None:
    """Clients pin the key, and a test of this needs a second certificate with it."""
    first, key = lab.ca.certificate("chat.test")
    second, same = lab.ca.certificate("chat.test", key=key)

    assert same == key
    assert first != second
