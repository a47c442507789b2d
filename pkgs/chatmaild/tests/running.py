"""Runs a daemon under test: the real program with its real sockets."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest

DEADLINE_SECONDS = 20


class UnixHTTPConnection(HTTPConnection):
    """HTTP over a UNIX socket, as Dovecot uses it."""

    def __init__(self, path: Path) -> None:
        """Connect to `path` with the first request."""
        super().__init__("helper", timeout=DEADLINE_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_SECONDS)
        self.sock.connect(str(self._path))


@dataclass
class Daemon:
    """A running daemon with its directory."""

    directory: Path
    process: subprocess.Popen[str]

    def post(self, body: bytes, url: str = "http://helper/token") -> tuple[int, dict[str, str]]:
        """Send a request with an absolute-form URL (RFC 9112 3.2.2), as Dovecot does."""
        connection = UnixHTTPConnection(self.directory / "grant.sock")
        connection.request("POST", url, body, {"Content-Type": "application/x-www-form-urlencoded"})
        response = connection.getresponse()
        content = response.read().decode()
        connection.close()
        return response.status, json.loads(content) if response.status == 200 else {}

    def login(self, address: str, password: str | bytes) -> tuple[int, dict[str, str]]:
        """Send a password grant."""
        return self.post(
            urlencode(
                {
                    "grant_type": "password",
                    "username": address,
                    "password": password,
                    "client_id": "dovecot",
                    "client_secret": "unused",
                }
            ).encode()
        )

    def dialogue(self, lines: bytes, answers: int) -> list[bytes]:
        """Send lines to the dict socket and read this many lines of answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE_SECONDS)
            connection.connect(str(self.directory / "dict.sock"))
            connection.sendall(lines)
            reader = connection.makefile("rb")
            return [reader.readline() for _ in range(answers)]

    def stop(self) -> str:
        """Stop the daemon as systemd does; return its log."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=DEADLINE_SECONDS)
        assert self.process.returncode == 0, log
        return log

    def kill(self) -> None:
        """Kill the daemon, if it still runs, to simulate a crash."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate(timeout=DEADLINE_SECONDS)


def start_daemon(module: str, directory: Path, config: Path) -> Daemon:
    """Start `module:main` and wait until it notifies systemd that it is ready."""
    notify = directory / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(notify))
        process = subprocess.Popen(
            command(module, config),
            env={**environment(), "NOTIFY_SOCKET": str(notify)},
            stderr=subprocess.PIPE,
            text=True,
        )
        ended = os.pidfd_open(process.pid)
        ready, _, _ = select.select([listener.fileno(), ended], [], [], DEADLINE_SECONDS)
        os.close(ended)
        notify.unlink()
        if listener.fileno() not in ready:
            process.kill()
            pytest.fail(f"the daemon did not become ready: {process.communicate()[1]}")
        assert listener.recv(100) == b"READY=1"
    return Daemon(directory, process)


def run_daemon(module: str, config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `module:main` in a case in which it must exit by itself."""
    return subprocess.run(
        [*command(module, config), *options],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def command(module: str, config: Path) -> list[str]:
    """Return the command line of a daemon that may not be installed."""
    program = f"import sys; from {module} import main; sys.exit(main())"
    return [sys.executable, "-c", program, "--config", str(config)]


def environment() -> dict[str, str]:
    """Return this process's environment with the path to our modules."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
