"""The running daemon, started as systemd does and used as Postfix does."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mails import ALICE, BOB, Header, split

from .milter_client import MilterClient, Result

DEADLINE_SECONDS = 20
MAX_SIZE = 300_000
KEY = rsa.generate_private_key(65537, 2048)


@dataclass
class Filter:
    """A running chatmail-filter."""

    directory: Path
    process: subprocess.Popen[str]

    @property
    def socket(self) -> Path:
        """The path of its socket."""
        return self.directory / "filter.sock"

    def submit(self, mail: bytes, to: tuple[str, ...] = (BOB,), *, user: str = ALICE) -> Result:
        """Send as the submission service."""
        client = MilterClient(self.socket, "submission")
        result = client.send(*split(mail), sender=f"<{user}>", recipients=to, login=user)
        client.close()
        return result

    def receive(
        self,
        headers: list[Header],
        body: bytes,
        peer: tuple[str, int] = ("192.0.2.9", 4711),
        sender: str = BOB,
    ) -> Result:
        """Send as port 25."""
        client = MilterClient(self.socket, "incoming", peer)
        result = client.send(headers, body, sender=f"<{sender}>", recipients=(ALICE,))
        client.close()
        return result

    def stop(self) -> str:
        """Stop as systemd does, and return everything it logged."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=DEADLINE_SECONDS)
        return log


def start(directory: Path, settings: dict[str, Any]) -> Filter:
    """Start the daemon, and wait until it reports that it is ready."""
    (directory / "chatmaild.json").write_text(json.dumps(settings))
    der = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    zone = {
        "sel._domainkey.other.example.": ["v=DKIM1; p=" + base64.b64encode(der).decode()],
        "crash._domainkey.other.example.": ["crash"],
        "silence._domainkey.other.example.": ["silence"],
        "late._domainkey.other.example.": ["late"],
    }
    (directory / "zone.json").write_text(json.dumps(zone))
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind(str(directory / "notify.sock"))
    ready.settimeout(DEADLINE_SECONDS)
    process = subprocess.Popen(
        [
            sys.executable,
            Path(__file__).with_name("rigged_filter.py"),
            directory / "zone.json",
            "--config",
            directory / "chatmaild.json",
        ],
        env={
            **os.environ,
            "NOTIFY_SOCKET": str(directory / "notify.sock"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert ready.recv(100) == b"READY=1"
    except TimeoutError:
        process.kill()
        raise AssertionError(process.communicate()[1]) from None
    finally:
        ready.close()
        (directory / "notify.sock").unlink()
    return Filter(directory, process)


def sign(mail: bytes, selector: bytes = b"sel") -> tuple[list[Header], bytes]:
    """Sign as other.example does."""
    key = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    headers, body = split(mail)
    message = dkim.DKIM()
    message.headers = [(name, value + b"\r\n") for name, value in headers]
    message.body = body
    field = message.sign(selector, b"other.example", key)
    return [(b"DKIM-Signature", field.partition(b":")[2].removesuffix(b"\r\n")), *headers], body
