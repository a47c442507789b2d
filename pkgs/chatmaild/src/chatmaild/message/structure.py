"""
The MIME structure of a message, read from bytes and only as deep as the policy needs.

Two parsers that disagree about where a part ends are the way cleartext hides in an "encrypted"
message. So nothing here guesses: what RFC 2045/2046 leave open to interpretation (a comment in
Content-Type, a parameter given twice, a line that only begins like a boundary, text before the
first or after the last part) is a `StructureError`, and the caller treats the message as not
having the claimed structure. All work is linear in the size of the message.
"""

import binascii
import re
from dataclasses import dataclass

Header = tuple[bytes, bytes]
"""Field name, and the raw value after the colon: leading space kept, folds as CRLF + WSP."""

MAX_PARTS = 2
"""No accepted structure has more parts."""
MAX_PART_HEADER_BYTES = 2048
MAX_PART_HEADERS = 16
MAX_BLANK_BYTES = 1024
"""Blank preamble or epilogue; chat clients send at most two empty lines."""
MAX_CONTENT_TYPE_BYTES = 2048

_WORD = r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+"
# RFC 2045 5.1: type/subtype, then ;attribute=value. Possessive quantifiers: no backtracking.
_TYPE = re.compile(rf"\s*+({_WORD}+/{_WORD}+)\s*+", re.ASCII)
_PARAMETER = re.compile(
    rf';\s*+({_WORD}+)\s*+=\s*+(?:({_WORD}+)|"((?:[^"\\\r\n]|\\[ -~])*+)")\s*+', re.ASCII
)
_END = re.compile(r";?\s*+\Z", re.ASCII)
# RFC 2046 5.1.1: bchars, 1 to 70, not ending in a space.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]", re.ASCII)
_NAME = re.compile(rb"[!-9;-~]+")
# Core up to 2.24 repeats the Message-ID in the one part of a Secure-Join request.
_MESSAGE_ID = re.compile(rb"[ \t]*<[!-;=?-~]{1,128}>[ \t]*")
_BLANK = re.compile(rb"[ \t\r\n]*+")


class StructureError(Exception):
    """The message, or a part of it, is not unambiguously built; the text says why."""


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type, e.g. `multipart/encrypted`, and its parameters; all names in lower case."""

    media_type: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """One body part with its transfer encoding (RFC 2045 6) already removed."""

    media_type: str
    content: bytes


def values(headers: list[Header], name: bytes) -> list[bytes]:
    """Collect the values of every field called `name` (lower case), unfolded and stripped."""
    return [unfold(value) for key, value in headers if key.lower() == name]


def only_value(headers: list[Header], name: bytes) -> bytes | None:
    """
    Find the value of the field called `name` (lower case), or None when there is no such field.

    Raises `StructureError` when the field occurs more than once.
    """
    found = values(headers, name)
    if len(found) > 1:
        raise StructureError(f"field {name.decode('ascii')} occurs {len(found)} times")
    return found[0] if found else None


def unfold(value: bytes) -> bytes:
    """Undo header folding (RFC 5322 2.2.3) and strip surrounding white space."""
    return value.replace(b"\r\n", b"").strip(b" \t")


def content_type(headers: list[Header]) -> ContentType:
    """
    Parse the one Content-Type (RFC 2045 5.1); `text/plain` when there is none.

    Raises `StructureError` for several Content-Type fields, comments, a parameter given twice and
    RFC 2231 continuations or charsets, all of which parsers read differently.
    """
    raw = only_value(headers, b"content-type")
    if raw is None:
        return ContentType("text/plain", {})
    if len(raw) > MAX_CONTENT_TYPE_BYTES:
        raise StructureError("Content-Type is too long")
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise StructureError("Content-Type is not ASCII") from None
    match = _TYPE.match(text)
    if match is None:
        raise StructureError("Content-Type has no type/subtype")
    media_type = match[1].lower()
    parameters: dict[str, str] = {}
    while parameter := _PARAMETER.match(text, match.end()):
        match = parameter
        name = parameter[1].lower()
        if "*" in name:
            raise StructureError("Content-Type has an RFC 2231 parameter")
        if name in parameters:
            raise StructureError(f"Content-Type has {name} twice")
        quoted = parameter[3]
        value = parameter[2] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        parameters[name] = value
    if _END.match(text, match.end()) is None:
        raise StructureError("Content-Type cannot be read to its end")
    return ContentType(media_type, parameters)


def parts(kind: ContentType, body: bytes) -> list[Part]:
    """
    Split a multipart body (RFC 2046 5.1.1) into at most `MAX_PARTS` parts that are not multipart.

    Raises `StructureError` for anything else: more parts, nested parts, text outside the parts, a
    missing closing delimiter, a bare CR or LF, part headers other than Content-* and Message-ID.
    """
    return [_part(raw) for raw in _split(kind.parameters.get("boundary", ""), body)]


def _split(boundary: str, body: bytes) -> list[bytes]:
    if _BOUNDARY.fullmatch(boundary) is None:
        raise StructureError("multipart without a usable boundary")
    line_ends = body.count(b"\r\n")
    if body.count(b"\n") != line_ends or body.count(b"\r") != line_ends:
        raise StructureError("bare CR or LF in a multipart body")
    # A leading CRLF makes the first delimiter line look like every other one.
    delimiter = b"\r\n--" + boundary.encode("ascii")
    text = b"\r\n" + body
    pieces: list[bytes] = []
    begin = 0
    closed = False
    while (at := text.find(delimiter, begin)) >= 0 and not closed:
        pieces.append(text[begin:at])
        if len(pieces) > MAX_PARTS + 1:
            raise StructureError(f"more than {MAX_PARTS} parts")
        line_end = text.find(b"\r\n", at + len(delimiter))
        line_end = len(text) if line_end < 0 else line_end
        rest = text[at + len(delimiter) : line_end]
        # RFC 2046 lets a parser compare only the beginning of a line with the boundary, so a line
        # that merely begins like one is a delimiter to some and text to others.
        closed = rest.startswith(b"--")
        if rest[2 if closed else 0 :].strip(b" \t"):
            raise StructureError("a line begins like the boundary and goes on")
        begin = line_end
    if not closed:
        raise StructureError("multipart without its closing delimiter")
    _require_blank(pieces[0], "before the first part")
    _require_blank(text[begin:], "after the last part")
    # Each piece begins with the CRLF that ended its delimiter line.
    return [piece[2:] for piece in pieces[1:]]


def _require_blank(text: bytes, where: str) -> None:
    if len(text) > MAX_BLANK_BYTES or _BLANK.fullmatch(text) is None:
        raise StructureError(f"text {where}")


def _part(raw: bytes) -> Part:
    head, separator, content = raw.partition(b"\r\n\r\n")
    if raw.startswith(b"\r\n"):
        head, content = b"", raw[2:]
    elif not separator:
        raise StructureError("a part has no empty line after its header")
    headers = _part_headers(head)
    kind = content_type(headers)
    if kind.media_type.startswith(("multipart/", "message/")):
        raise StructureError("a part is itself composite")
    encoding = (only_value(headers, b"content-transfer-encoding") or b"7bit").lower()
    return Part(kind.media_type, _decode(encoding, content))


def _part_headers(head: bytes) -> list[Header]:
    if len(head) > MAX_PART_HEADER_BYTES:
        raise StructureError("a part header is too long")
    headers: list[Header] = []
    for line in head.split(b"\r\n") if head else []:
        if line[:1] in (b" ", b"\t") and headers:
            name, value = headers[-1]
            headers[-1] = (name, value + b"\r\n" + line)
            continue
        name, colon, value = line.partition(b":")
        if not colon or _NAME.fullmatch(name) is None:
            raise StructureError("a part header has a line without a field name")
        if not name.lower().startswith(b"content-") and not _is_message_id(name, value):
            raise StructureError("a part header has a field other than Content-*")
        headers.append((name, value))
        if len(headers) > MAX_PART_HEADERS:
            raise StructureError("a part header has too many fields")
    return headers


def _is_message_id(name: bytes, value: bytes) -> bool:
    return name.lower() == b"message-id" and _MESSAGE_ID.fullmatch(value) is not None


def _decode(encoding: bytes, content: bytes) -> bytes:
    if encoding in (b"7bit", b"8bit", b"binary"):
        return content
    if encoding == b"quoted-printable":
        return binascii.a2b_qp(content)
    if encoding == b"base64":
        try:
            return binascii.a2b_base64(content.translate(None, b"\r\n"), strict_mode=True)
        except binascii.Error:
            raise StructureError("a part is not the base64 it claims to be") from None
    raise StructureError("unknown Content-Transfer-Encoding")
