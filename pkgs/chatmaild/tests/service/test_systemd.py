import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chatmaild.service import systemd


def test_notifies_systemd_when_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit of Type=notify counts as started only then."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path)

        assert systemd.notify("READY=1")

        assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize("path", ["", "relative", "/nowhere/notify"])
def test_runs_without_systemd(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that is started by hand must not fail."""
    monkeypatch.setenv("NOTIFY_SOCKET", path)

    assert not systemd.notify("READY=1")


def test_takes_sockets_by_their_names(tmp_path: Path) -> None:
    """Sockets are identified by names, not positions; children do not inherit the variables."""
    program = (
        "import os, sys; from chatmaild.service import systemd\n"
        "os.dup2(int(sys.argv[1]), 3), os.dup2(int(sys.argv[2]), 4)\n"
        "os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "taken = systemd.listen_fds()\n"
        "print(sorted((name, s.getsockname()) for name, s in taken.items()))\n"
        "print(sorted(k for k in os.environ if k.startswith('LISTEN')))\n"
    )
    with (
        socket.socket(socket.AF_UNIX) as grant,
        socket.socket(socket.AF_UNIX) as dictionary,
    ):
        grant.bind(str(tmp_path / "grant.sock"))
        dictionary.bind(str(tmp_path / "dict.sock"))
        result = subprocess.run(
            [sys.executable, "-c", program, str(grant.fileno()), str(dictionary.fileno())],
            pass_fds=(grant.fileno(), dictionary.fileno()),
            env={
                **os.environ,
                "LISTEN_FDS": "2",
                "LISTEN_FDNAMES": "grant:dict",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            capture_output=True,
            text=True,
            check=True,
        )

    assert result.stdout.splitlines() == [
        str([("dict", str(tmp_path / "dict.sock")), ("grant", str(tmp_path / "grant.sock"))]),
        "[]",
    ]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "grant"},
        {"LISTEN_PID": "self", "LISTEN_FDS": "many"},
    ],
)
def test_ignores_sockets_meant_for_others(environ: dict[str, str]) -> None:
    """Variables inherited from another process name wrong descriptors."""
    environ = {k: str(os.getpid()) if v == "self" else v for k, v in environ.items()}

    assert systemd.listen_fds(environ) == {}
    assert environ == {}
