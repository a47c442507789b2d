"""
Ways in which a local program could inject a message, tried as one user.

Run it on the relay: `python3 local_doors.py RECIPIENT… < MESSAGE`. It prints a line for each way,
`closed DOOR WHY` or `OPEN DOOR`. The caller checks whether the message arrived anywhere.
"""

import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

SECONDS = 10
SENDER = "forged@stranger.test"


class ClosedError(Exception):
    """The message was not accepted; the text is the reason."""


def listeners() -> list[Path]:
    """Return the UNIX sockets on which this host listens, except the system's own."""
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    names = {line.split()[-1] for line in lines if len(line.split()) > 7}
    system = ("/run/systemd/", "/run/dbus/", "/run/host/")
    return [Path(n) for n in sorted(names) if n.startswith("/") and not n.startswith(system)]


def speak(connection: socket.socket, greeting: bytes, recipients: list[str], text: bytes) -> None:
    """Send the message by SMTP or LMTP."""
    connection.settimeout(SECONDS)
    stream = connection.makefile("rwb")

    def say(line: bytes, wanted: bytes) -> None:
        stream.write(line)
        stream.flush()
        expect(wanted)

    def expect(wanted: bytes) -> None:
        while True:
            reply = stream.readline()
            if not reply.startswith(wanted):
                raise ClosedError(repr(reply))
            if reply[3:4] != b"-":
                return

    expect(b"220")
    say(greeting, b"250")
    say(f"MAIL FROM:<{SENDER}>\r\n".encode(), b"250")
    for recipient in recipients:
        say(f"RCPT TO:<{recipient}>\r\n".encode(), b"250")
    say(b"DATA\r\n", b"354")
    say(text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n.\r\n", b"250")


def unix(path: Path, recipients: list[str], text: bytes) -> None:
    """Speak LMTP to a socket, whatever its purpose."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(path))
        speak(connection, b"LHLO here\r\n", recipients, text)


def tcp(port: int, preface: bytes, recipients: list[str], text: bytes) -> None:
    """Speak SMTP to a loopback port, after `preface`."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(preface)
        speak(connection, b"EHLO here\r\n", recipients, text)


def encrypted(port: int, recipients: list[str], text: bytes) -> None:
    """Speak SMTP over TLS to a loopback port."""
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - of this very host
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection,
        context.wrap_socket(connection) as secure,
    ):
        speak(secure, b"EHLO here\r\n", recipients, text)


def program(*command: str) -> Callable[[list[str], bytes], None]:
    """Pass the message to a program's standard input."""

    def run(recipients: list[str], text: bytes) -> None:
        done = subprocess.run(
            [*command, *recipients], input=text, capture_output=True, timeout=60, check=False
        )
        if done.returncode:
            raise ClosedError(done.stderr.decode(errors="replace").strip())

    return run


def maildrop(recipients: list[str], text: bytes) -> None:
    """Write a queue file where pickup(8) finds it, as postdrop(1) does."""
    records = [b"T0", b"S" + SENDER.encode(), *(b"R" + one.encode() for one in recipients), b"M"]
    records += [b"N" + line for line in text.splitlines()] + [b"X", b"E"]
    path = Path("/var/spool/postfix/maildrop") / f"{os.getpid():x}"
    path.write_bytes(b"".join(one[:1] + bytes([len(one) - 1]) + one[1:] for one in records))
    path.chmod(0o744)


def doors() -> dict[str, Callable[[list[str], bytes], None]]:
    """Return all ways by name."""
    found: dict[str, Callable[[list[str], bytes], None]] = {
        "sendmail": program("/usr/sbin/sendmail", "-i", "-f", SENDER),
        "sendmail as nobody's bounce": program("/usr/sbin/sendmail", "-i", "-f", ""),
        "dovecot-lda": program("/usr/lib/dovecot/dovecot-lda", "-f", SENDER, "-d"),
        "maildrop": maildrop,
        "port 25": lambda to, text: tcp(25, b"", to, text),
        "submission": lambda to, text: tcp(20587, b"", to, text),
        "submissions": lambda to, text: encrypted(20465, to, text),
        # The filter would trust this peer address, whose literal needs no DKIM signature.
        "mxdeliv": lambda to, text: tcp(
            10025,
            b"PROXY TCP4 192.0.2.103 127.0.0.1 443 10025\r\n",
            to,
            re.sub(rb"(?m)^From:.*$", b"From: <forged@[192.0.2.103]>", text, count=1),
        ),
    }
    for path in listeners():
        found[str(path)] = partial(unix, path)
    return found


def main() -> None:
    """Try all ways."""
    recipients, text = sys.argv[1:], sys.stdin.buffer.read()

    def knock(named: tuple[str, Callable[[list[str], bytes], None]]) -> str:
        name, door = named
        try:
            door(recipients, text)
        except (ClosedError, OSError, subprocess.SubprocessError) as error:
            return f"closed {name}: {error!r}".replace("\n", " ")
        return f"OPEN {name}"

    # Try them in parallel, because most sockets do not answer and time out.
    with ThreadPoolExecutor(64) as pool:
        print("\n".join(pool.map(knock, doors().items())))


if __name__ == "__main__":
    main()
