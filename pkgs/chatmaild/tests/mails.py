"""Builds mails and OpenPGP packets piece by piece, so that a test can make one piece wrong."""

import base64
import textwrap

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


PKESK = packet(1, b"\x03" + b"k" * 93)
SKESK = packet(3, b"\x04\x09\x03\x08saltsalt\x60")
SEIPD = packet(18, b"\x01" + b"\x5a" * 700)
PACKETS = PKESK + PKESK + SEIPD


def armor(packets: bytes = PACKETS, *, headers: str = "", checksum: str = "=agR5\n") -> bytes:
    """Build armor with LF line ends; `headers` are whole lines."""
    data = textwrap.fill(base64.b64encode(packets).decode(), 64)
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
    """Build the header block of a chat message, without the empty line."""
    return (
        f"From: {author}\nTo: {to}\nSubject: {subject}\n"
        "Date: Sun, 15 Oct 2023 16:43:21 +0000\nMessage-ID: <m1@chat.example.org>\n"
        f"Chat-Version: 1.0\n{extra}MIME-Version: 1.0\nContent-Type: {content_type}\n"
    ).encode()


def encrypted_body(
    data: bytes | None = None,
    *,
    control: str = "Content-Type: application/pgp-encrypted\n\nVersion: 1\n",
    data_header: str = 'Content-Type: application/octet-stream; name="encrypted.asc"\n',
    before: str = "\n",
    after: str = "\n",
    boundary: str = "b1",
) -> bytes:
    """Build a multipart/encrypted body, LF line ends."""
    data = armor() if data is None else data
    return (
        f"{before}--{boundary}\n{control}\n--{boundary}\n{data_header}\n".encode()
        + data
        + f"\n--{boundary}--\n{after}".encode()
    )


ENCRYPTED = 'multipart/encrypted; protocol="application/pgp-encrypted";\n\tboundary="b1"'


def encrypted(**header_fields: str) -> bytes:
    """Build a whole encrypted chat message."""
    return header(ENCRYPTED, **header_fields) + b"\n" + encrypted_body()


def secure_join(step: str = "vc-request", text: str = "secure-join: vc-request") -> bytes:
    """Build the first message of a Secure-Join."""
    return (
        header(
            'multipart/mixed; boundary="b1"',
            extra=f"Secure-Join: {step}\nSecure-Join-Invitenumber: RANDOM-TOKEN\n",
        )
        + (f"\n\n--b1\nContent-Type: text/plain; charset=utf-8\n\n{text}\n\n\n--b1--\n\n").encode()
    )


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
