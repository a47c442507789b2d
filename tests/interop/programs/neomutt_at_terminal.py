"""
Type a message in neomutt: `neomutt_at_terminal.py MUTTRC RECIPIENT`, the body on standard input.

Neomutt encrypts only for somebody at a terminal, so this is one. It prints what neomutt showed last
and ends with neomutt's status.
"""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import tempfile
import time

SECONDS = 30
COMPOSED = b"Security: Encrypt"
SENT_OR_NOT = re.compile(rb"Mail sent|rror|ailed|annot|Could not|[Ss]ubject, abort|\b5[0-9][0-9] ")


def main(muttrc: str, recipient: str) -> int:
    """Compose, press y, and wait for the end."""
    with tempfile.NamedTemporaryFile("wb") as body:
        body.write(sys.stdin.buffer.read())
        body.flush()
        pid, terminal = pty.fork()
        if pid == 0:
            command = ["neomutt", "-n", "-F", muttrc, "-s", "Hello", "-i", body.name, recipient]
            os.execvp(command[0], command)  # noqa: S606 (a list, without a shell)
        shown = _until(terminal, re.compile(re.escape(COMPOSED)))
        os.write(terminal, b"y")
        shown += _until(terminal, SENT_OR_NOT)
        # Back in the compose menu if it was refused.
        os.write(terminal, b"qn")
        shown += _until(terminal, None)
        os.close(terminal)
    sys.stdout.buffer.write(re.sub(rb"\x1b[\[()][0-9;?]*[A-Za-z0-9]", b" ", shown))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _until(terminal: int, wanted: re.Pattern[bytes] | None) -> bytes:
    """Read until something is shown, or without it until the program ends."""
    shown = b""
    deadline = time.monotonic() + SECONDS
    while wanted is None or not wanted.search(shown):
        if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            sys.stderr.write(f"neomutt waits for something; it shows: {shown[-800:]!r}\n")
            sys.exit(1)
        try:
            octets = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not octets:
            break
        shown += octets
    return shown


sys.exit(main(*sys.argv[1:]))
