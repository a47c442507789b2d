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
Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="{boundary}"

"""
# Exactly as Delta Chat writes it, because the relay rebuilds any other form.
BOUNDARY = "18ed090f355ef38b_6d98da386014cb0b_d6e1fb61bb8c1af5"
PARTS = """\

--{boundary}
Content-Type: application/pgp-encrypted; charset="utf-8"
Content-Transfer-Encoding: 7bit

Version: 1

--{boundary}
Content-Type: application/octet-stream; charset="utf-8"
Content-Transfer-Encoding: 7bit

{armor}

--{boundary}--
"""


def head(sender: str, recipient: str, run: str, number: int) -> bytes:
    """Return the head of a message after DATA; `run` and `number` make its Message-ID."""
    about = {"sender": sender, "recipient": recipient, "run": run, "number": number}
    return _crlf(HEAD.format(boundary=BOUNDARY, **about))


def body(size: int) -> bytes:
    """Return the body of a message of about `size` bytes: random data, encrypted to a new key."""
    # PGPy's own warnings do not concern us (pytest.ini).
    warnings.filterwarnings("ignore", module=r"pgpy\.")
    from people import openpgp

    # Head, frame, session key and packet headers take 1034 bytes; armor makes 66 bytes out of 48.
    letters = max(size - 1034, 22) * 48 // 66
    plain = base64.b64encode(secrets.token_bytes(letters))[:letters].decode()
    armor = openpgp.encrypt(plain, "load@localhost")
    # A Version: line in the armor would have the relay rebuild the message.
    lines = [line for line in armor.splitlines() if not line.startswith("Version:")]
    return _crlf(PARTS.format(boundary=BOUNDARY, armor="\n".join(lines)))


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()
