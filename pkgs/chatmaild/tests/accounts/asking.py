"""Requests to the accounts daemon, and a fake Dovecot for its requests."""

import json
import socket
import threading
from pathlib import Path
from typing import Any

from running import Daemon, UnixHTTPConnection

ALICE = "alice1234@chat.example.org"
BOB = "bob123456@chat.example.org"
PASSWORD = "secret-password"


class Doveadm:
    """Plays Dovecot: records the commands, and answers as Dovecot 2.4 does."""

    def __init__(self, path: Path) -> None:
        """Listen."""
        self.commands: list[str] = []
        self.refuse = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb", buffering=0) as stream:
                assert stream.readline() == b"VERSION\tdoveadm-server\t1\t0\n"
                stream.write(b"+\n")
                while line := stream.readline():
                    flags, user, command, mask = line.decode().rstrip("\n").split("\t")
                    assert (flags, user) == ("", "")
                    self.commands.append(f"{command} {mask}")
                    stream.write(b"\n-NOPERM\n" if self.refuse else b"1\t\n+\n")

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


def ask(daemon: Daemon, name: str, path: str, **fields: Any) -> tuple[int, Any]:
    """Send a request to a socket; return status and answer."""
    connection = UnixHTTPConnection(daemon.directory / f"{name}.sock")
    connection.request("POST", path, json.dumps(fields))
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, json.loads(content) if content else None


def active(daemon: Daemon, address: str = ALICE, password: str = PASSWORD) -> bool:
    """Log in; return whether the login succeeded."""
    return daemon.login(address, password)[1]["active"] == "yes"


def mailbox(daemon: Daemon, address: str = ALICE) -> Path:
    """Create a mailbox as Dovecot does, with a message in it."""
    message = daemon.directory / "mail" / address / "Maildir" / "new" / "1"
    message.parent.mkdir(parents=True)
    message.write_text("secret")
    return message.parent.parent.parent
