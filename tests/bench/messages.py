"""End-to-end encrypted messages of a given size, created once and sent often."""

from __future__ import annotations

import base64
import secrets
import warnings

HEAD = """\
From: <{sender}>
To: <{recipient}>
Date: Sat, 01 Jan 2000 00:00:00 +0000
Message-ID: <{number}.{run}@localhost>
Chat-Version: 1.0
Subject: [...]
MIME-Version: 1.0
Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="frontier"

"""
PARTS = """\
--frontier
Content-Type: application/pgp-encrypted

Version: 1

--frontier
Content-Type: application/octet-stream

{armor}
--frontier--
"""


def head(sender: str, recipient: str, run: str, number: int) -> bytes:
    """Return the head of a message after DATA; `run` and `number` make its Message-ID."""
    return _crlf(HEAD.format(sender=sender, recipient=recipient, run=run, number=number))


def body(size: int) -> bytes:
    """Return the body of a message of about `size` bytes: random data, encrypted to a new key."""
    # PGPy's own warnings do not concern us (pytest.ini).
    warnings.filterwarnings("ignore", module=r"pgpy\.")
    from people import openpgp

    # Head, frame, session key and packet headers take 775 bytes; armor makes 66 bytes out of 48.
    letters = max(size - 775, 22) * 48 // 66
    plain = base64.b64encode(secrets.token_bytes(letters))[:letters].decode()
    armor = openpgp.encrypt(plain, "load@localhost")
    # A Version: line in the armor would reveal the sender's software; relays refuse it.
    lines = [line for line in armor.splitlines() if not line.startswith("Version:")]
    return _crlf(PARTS.format(armor="\n".join(lines)))


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()
