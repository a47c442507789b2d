"""
Bring encrypted mail and Secure-Join requests into the one form in which they travel.

Any program's message that is truly encrypted is accepted and rebuilt: fixed parts with fixed
fields, and armor made from the packets. So no readable text around the packets is forwarded, and
nothing is left that two parsers could read differently. Delta Chat writes this form itself, so its
messages are not touched.
"""

import re
import secrets
from dataclasses import dataclass

from chatmaild.message import armor, openpgp, structure
from chatmaild.message.armor import ArmorError
from chatmaild.message.openpgp import OpenPGPError
from chatmaild.message.structure import Header, StructureError

SECURE_JOIN_STEPS = (b"vc-request", b"vg-request")
"""Values of Secure-Join in messages sent before a key is known; later steps are encrypted."""

# Delta Chat's boundary: the time and two random numbers, in hexadecimal. Others could be words.
_BOUNDARY = rb"[0-9a-f]{1,16}_[0-9a-f]{1,16}_[0-9a-f]{1,16}"
_ENCRYPTED_TYPE = re.compile(
    rb'multipart/encrypted; protocol="application/pgp-encrypted"; ?\t?boundary="(%b)"' % _BOUNDARY
)
_MIXED_TYPE = re.compile(rb'multipart/mixed; ?\t?boundary="(%b)"' % _BOUNDARY)

# What surrounds the armor: as core has written it since 2.50 and this relay writes it, and as core
# wrote it before, since 1.159. "%(b)b" is the boundary.
_FRAME = (
    b"\r\n--%(b)b\r\n"
    b'Content-Type: application/pgp-encrypted; charset="utf-8"\r\n'
    b"Content-Transfer-Encoding: 7bit\r\n\r\n"
    b"Version: 1\r\n\r\n"
    b"--%(b)b\r\n"
    b'Content-Type: application/octet-stream; charset="utf-8"\r\n'
    b"Content-Transfer-Encoding: 7bit\r\n\r\n"
)
_OLD_FRAME = (
    b"\r\n--%(b)b\r\n"
    b'Content-Type: application/pgp-encrypted; charset="utf-8"\r\n'
    b"Content-Description: PGP/MIME version identification\r\n"
    b"Content-Transfer-Encoding: 7bit\r\n\r\n"
    b"Version: 1\r\n\r\n"
    b"--%(b)b\r\n"
    b'Content-Type: application/octet-stream; name="encrypted.asc"; \r\n'
    b'\tcharset="utf-8"\r\n'
    b"Content-Description: OpenPGP encrypted message\r\n"
    b'Content-Disposition: inline; filename="encrypted.asc";\r\n'
    b"Content-Transfer-Encoding: 7bit\r\n\r\n"
)
_FRAMES = tuple(frame + armor.HEAD for frame in (_FRAME, _OLD_FRAME))
_END = b"\r\n--%(b)b--\r\n"
# Core's versions differ in the empty lines after the armor. A transport may add one at the end.
_ENDS = tuple(
    armor.TAIL + before + _END + after for after in (b"", b"\r\n") for before in (b"", b"\r\n")
)
_REQUEST = (
    b"\r\n--%(b)b\r\n"
    b'Content-Type: text/plain; charset="utf-8"\r\n'
    b"Content-Transfer-Encoding: 7bit\r\n\r\n"
    b"Secure-Join: %(step)b"
) + _END

_VERSION = re.compile(rb"\s*+version[ \t]*+:[ \t]*+1[ \t]*+(?:[\r\n]|\Z)", re.IGNORECASE)
_STEP = re.compile(rb"\s*+secure-join[ \t]*+:[ \t]*+(?:vc|vg)-request\s*+", re.IGNORECASE)

REFUSALS = (StructureError, ArmorError, OpenPGPError)
"""The errors of the functions below: the message is not of the kind that they rebuild."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A new value for Content-Type, with its leading space, and a new body."""

    content_type: bytes
    body: bytes


def encrypted(headers: list[Header], body: bytes) -> Rebuilt | None:
    """
    Rebuild PGP/MIME (RFC 3156 4) in the canonical form; None when it has that form already.

    Raises one of `REFUSALS` if the message is not encrypted as a whole.
    """
    own = _own_packets(headers, body)
    packets = openpgp.encrypted_message(_packets(headers, body) if own is None else own)
    if packets is own:
        return None
    frame = {b"b": _new_boundary()}
    armored = armor.encode(packets, checksum=openpgp.wants_checksum(packets))
    return Rebuilt(
        b' multipart/encrypted; protocol="application/pgp-encrypted";\r\n boundary="%(b)b"' % frame,
        b"".join((_FRAME % frame, armored, _END % frame)),
    )


def _new_boundary() -> bytes:
    """Make a boundary like core's, so that a rebuilt message looks like any other."""
    return b"_".join([secrets.token_hex(8).encode() for _ in range(3)])


def _own_packets(headers: list[Header], body: bytes) -> bytes | None:
    """Return the packets of a message in canonical form; None for any other message."""
    own = _ENCRYPTED_TYPE.fullmatch(structure.only_value(headers, b"content-type") or b"")
    if own is None:
        return None
    frame = {b"b": own[1]}
    head = next((head for head in _FRAMES if body.startswith(head % frame)), None)
    tail = next((tail for tail in _ENDS if body.endswith(tail % frame)), None)
    if head is None or tail is None:
        return None
    return armor.decode_canonical(body[len(head % frame) : -len(tail % frame)])


def _packets(headers: list[Header], body: bytes) -> bytes:
    """
    Find the packets of a PGP/MIME message of any program.

    The first part says that the encrypted data is a whole MIME entity; without it the canonical
    form would be another message. Exchange turns multipart/encrypted into multipart/mixed with an
    empty text before the two parts.
    """
    kind = structure.content_type(headers)
    if kind.media_type not in ("multipart/encrypted", "multipart/mixed"):
        raise StructureError("neither multipart/encrypted nor multipart/mixed")
    found = structure.parts(kind, body)
    if found[0].media_type == "text/plain" and not found[0].content.strip():
        del found[0]
    try:
        control, data = found
    except ValueError:
        raise StructureError("not the two parts of an encrypted message") from None
    if control.media_type != "application/pgp-encrypted" or not _VERSION.match(control.content):
        raise StructureError("not the first part of an encrypted message, version 1")
    if not data.media_type.startswith("application/"):
        raise StructureError("not the second part of an encrypted message")
    return armor.decode(data.content)


def secure_join(headers: list[Header], body: bytes) -> Rebuilt | None:
    """
    Rebuild the first message of a Secure-Join; None when it has the canonical form already.

    The header has all the information, so the body is only the name of the step. Raises one of
    `REFUSALS` when the body contains anything else.
    """
    step = structure.only_value(headers, b"secure-join")
    if step not in SECURE_JOIN_STEPS:
        raise StructureError("not the first step of a Secure-Join")
    raw_type = structure.only_value(headers, b"content-type")
    if raw_type is None:
        raise StructureError("a Secure-Join without a Content-Type")
    if own := _MIXED_TYPE.fullmatch(raw_type):
        request = _REQUEST % {b"b": own[1], b"step": step}
        if body in (request, request + b"\r\n"):
            return None
    kind = structure.content_type(headers)
    if kind.media_type.startswith("multipart/"):
        found = structure.parts(kind, body)
    else:  # core 2.59 writes a single part
        found = [structure.whole(headers, body)]
    (part, *others) = found
    if others or part.media_type != "text/plain" or not _STEP.fullmatch(part.content):
        raise StructureError("a Secure-Join with text of its own")
    frame = {b"b": _new_boundary(), b"step": step}
    return Rebuilt(b' multipart/mixed;\r\n boundary="%(b)b"' % frame, _REQUEST % frame)
