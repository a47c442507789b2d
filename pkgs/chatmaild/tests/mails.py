"""Builds mails and OpenPGP packets piece by piece, so that a test can make one piece wrong."""

import base64
import random

Header = tuple[bytes, bytes]

ALICE = "alice@chat.example.org"
BOB = "bob@other.example"


def packet(kind: int, body: bytes, *, partial: tuple[int, ...] = ()) -> bytes:
    """Build one packet in the current format; `partial` are chunk lengths as powers of two."""
    out = bytes([0xC0 | kind])
    for power in partial:
        out += bytes([0xE0 | power]) + body[: 1 << power]
        body = body[1 << power :]
    return out + b"\xff" + len(body).to_bytes(4) + body


noise = random.Random(9580).randbytes
"""As good as ciphertext, and the same in each run."""


def pkesk(names: bytes = b"\x03" + noise(8), wrapped: int = 48) -> bytes:
    """Build the session key of a recipient with a Curve25519 key, as Delta Chat does."""
    point = b"\x12\x01\x07\x40" + noise(32)
    body = names + point + bytes([wrapped]) + noise(wrapped)
    return bytes([0xC1, len(body)]) + body


PKESK = pkesk()
SKESK = packet(3, b"\x04\x09\x03\x08" + noise(8) + b"\x60")
SEIPD = packet(18, b"\x01" + noise(700))
PACKETS = PKESK + PKESK + SEIPD


def armor(packets: bytes = PACKETS, *, headers: str = "", checksum: str = "") -> bytes:
    """Build armor with LF line ends; `headers` and `checksum` are whole lines."""
    text = base64.b64encode(packets).decode()
    data = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return (
        f"-----BEGIN PGP MESSAGE-----\n{headers}\n{data}\n{checksum}-----END PGP MESSAGE-----\n"
    ).encode()


def crlf(text: str | bytes) -> bytes:
    """Convert LF to CRLF."""
    raw = text.encode() if isinstance(text, str) else text
    return raw.replace(b"\n", b"\r\n")


def split(mail: bytes) -> tuple[list[Header], bytes]:
    """Split a message (LF or CRLF) as the filter receives it: raw values and a CRLF body."""
    mail = mail.replace(b"\r\n", b"\n")
    head, _, body = mail.partition(b"\n\n")
    headers: list[Header] = []
    for line in head.split(b"\n"):
        if line[:1] in b" \t" and headers:
            headers[-1] = (headers[-1][0], headers[-1][1] + b"\r\n" + line)
        else:
            name, _, value = line.partition(b":")
            headers.append((name, value))
    return headers, crlf(body)


def header(
    content_type: str,
    *,
    author: str = f"<{ALICE}>",
    to: str = f"<{BOB}>",
    subject: str = "a telling subject",
    extra: str = "",
) -> bytes:
    """Build the header block of a chat message in core's order, without the empty line."""
    return (
        f"From: {author}\nDate: Sun, 15 Oct 2023 16:43:21 +0000\n"
        f"Message-ID: <m1@chat.example.org>\nMIME-Version: 1.0\nTo: {to}\nSubject: {subject}\n"
        f"Chat-Version: 1.0\n{extra}Content-Type: {content_type}\n"
    ).encode()


BOUNDARY = "18ed090f355ef38b_6d98da386014cb0b_d6e1fb61bb8c1af5"
CONTROL = (
    'Content-Type: application/pgp-encrypted; charset="utf-8"\n'
    "Content-Transfer-Encoding: 7bit\n\nVersion: 1\n"
)
DATA_HEADER = (
    'Content-Type: application/octet-stream; charset="utf-8"\nContent-Transfer-Encoding: 7bit\n'
)


def encrypted_body(
    data: bytes | None = None,
    *,
    control: str = CONTROL,
    data_header: str = DATA_HEADER,
    before: str = "\n",
    after: str = "\n",
    boundary: str = BOUNDARY,
) -> bytes:
    """Build a multipart/encrypted body, LF line ends; unchanged it is in canonical form."""
    data = armor() if data is None else data
    return (
        f"{before}--{boundary}\n{control}\n--{boundary}\n{data_header}\n".encode()
        + data
        + f"\n--{boundary}--\n{after}".encode()
    )


ENCRYPTED = f'multipart/encrypted; protocol="application/pgp-encrypted";\n boundary="{BOUNDARY}"'
MIXED = f'multipart/mixed;\n boundary="{BOUNDARY}"'


def encrypted(**header_fields: str) -> bytes:
    """Build a whole encrypted chat message."""
    return header(ENCRYPTED, **header_fields) + b"\n" + encrypted_body()


def secure_join(step: str = "vc-request", text: str = "Secure-Join: vc-request") -> bytes:
    """Build the first message of a Secure-Join; unchanged it is in canonical form."""
    fields = f"Secure-Join: {step}\nSecure-Join-Invitenumber: RANDOM-TOKEN\n"
    part = 'Content-Type: text/plain; charset="utf-8"\nContent-Transfer-Encoding: 7bit\n'
    body = f"\n--{BOUNDARY}\n{part}\n{text}\n--{BOUNDARY}--\n"
    return header(MIXED, extra=fields) + f"\n{body}".encode()


def setup_message(**header_fields: str) -> bytes:
    """Build an Autocrypt Setup Message."""
    fields = {"subject": "Autocrypt Setup Message", "to": f"<{ALICE}>"} | header_fields
    return header(
        'multipart/mixed; boundary="b1"', extra="Autocrypt-Setup-Message: v1\n", **fields
    ) + (
        b"\n--b1\nContent-Type: text/plain\n\nThis message contains your settings.\n"
        b"--b1\nContent-Type: application/autocrypt-setup\n\n" + armor(SKESK + SEIPD) + b"--b1--\n"
    )


def report(**header_fields: str) -> bytes:
    """Build a bounce."""
    fields = {"author": "Mail Delivery System <MAILER-DAEMON@other.example>"} | header_fields
    extra = fields.pop("extra", "Auto-Submitted: auto-replied\n")
    return header(
        'multipart/report; report-type=delivery-status; boundary="b1"', extra=extra, **fields
    ) + (
        b"\n--b1\nContent-Type: text/plain\n\nUndelivered.\n"
        b"--b1\nContent-Type: message/delivery-status\n\nAction: failed\n\n--b1--\n"
    )


def cleartext(**header_fields: str) -> bytes:
    """Build an ordinary unencrypted mail."""
    return header("text/plain; charset=utf-8", **header_fields) + b"\nhello\n"
