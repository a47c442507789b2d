"""
The MIME structure of a message, parsed from bytes and only as deep as the policy needs.

Parsing is lenient, because the structure found here is not forwarded. Only the content of the
parts is, inside a structure that the relay writes (`canonical`). Parsers may disagree about a
comment, a repeated parameter or a line that looks like a boundary, but they all get the same
message in the end. All work is linear in the size of the message.
"""

import binascii
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

Header = tuple[bytes, bytes]
"""Field name and raw value after the colon: the leading space is kept, folds are CRLF + WSP."""

MAX_PARTS = 3
"""PGP/MIME has two parts; some servers put an empty one first. See `canonical`."""
MAX_PART_HEADER_BYTES = 16_384
MAX_CONTENT_TYPE_BYTES = 2048

_WORD = r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+"
# RFC 2045 5.1: type/subtype, then ;attribute=value. Possessive quantifiers avoid backtracking.
_TYPE = re.compile(rf"\s*+({_WORD}+/{_WORD}+)(?=[\s;]|\Z)", re.ASCII)
_PARAMETER = re.compile(r';\s*+([^\s;="()]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s;"]++))')
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*+")|\((?:[^()\\]|\\.)*+\)')
# RFC 2231 3 and 4: boundary*0="b"; boundary*1*=%31. The first one starts with charset'language'.
_EXTENDED = re.compile(r"([^*]++)(?:\*(\d{1,2}))?+(\*)?")
MAX_BOUNDARY = 200
"""RFC 2046 5.1.1 allows 70 characters."""


class StructureError(Exception):
    """The message or one of its parts has the wrong structure; the message says why."""


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type, e.g. `multipart/encrypted`, and its parameters; all names in lower case."""

    media_type: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """One body part, with its transfer encoding (RFC 2045 6) removed."""

    media_type: str
    content: bytes


def values(headers: list[Header], name: bytes) -> list[bytes]:
    """Collect the values of every field called `name` (lower case), unfolded and stripped."""
    return [unfold(value) for key, value in headers if key.lower() == name]


def only_value(headers: list[Header], name: bytes) -> bytes | None:
    """
    Return the value of the field called `name` (lower case), or None if there is no such field.

    Raises `StructureError` if the field occurs more than once.
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
    Parse the Content-Type of a message; without one it is `text/plain` (RFC 2045 5.2).

    Raises `StructureError` if the field has no type or is too long. Several fields are an error,
    too: all of them would be forwarded, and readers differ in which one they use.
    """
    raw = only_value(headers, b"content-type")
    return ContentType("text/plain", {}) if raw is None else _content_type(raw)


def _content_type(raw: bytes) -> ContentType:
    if len(raw) > MAX_CONTENT_TYPE_BYTES:
        raise StructureError("Content-Type is too long")
    text = _COMMENT.sub(lambda found: found[1] or " ", raw.decode("latin-1"))
    match = _TYPE.match(text)
    if match is None:
        raise StructureError("Content-Type has no type/subtype")
    pieces: dict[str, dict[int, str]] = {}
    for name, quoted, word in _PARAMETER.findall(text, match.end()):
        extended = _EXTENDED.fullmatch(name.lower())
        if extended is None:
            continue
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted else word
        number = int(extended[2] or 0)
        if extended[3]:
            value = unquote_to_bytes(value if number else value.rpartition("'")[2]).decode(
                "latin-1"
            )
        # The first one counts if a parameter is repeated.
        pieces.setdefault(extended[1], {}).setdefault(number, value)
    parameters = {
        name: "".join(value for _, value in sorted(numbered.items()))
        for name, numbered in pieces.items()
    }
    return ContentType(match[1].lower(), parameters)


def parts(kind: ContentType, body: bytes) -> list[Part]:
    """
    Split a multipart body (RFC 2046 5.1.1) into at most `MAX_PARTS` parts.

    The text before the first part and after the last one is ignored. Raises `StructureError` for
    more parts, for none, and for a part without an empty line after its header.
    """
    return [_part(raw) for raw in _split(kind.parameters.get("boundary", ""), body)]


def whole(headers: list[Header], body: bytes) -> Part:
    """Parse a message that is not multipart as a single part; raises `StructureError`."""
    encoding = only_value(headers, b"content-transfer-encoding") or b""
    return Part(content_type(headers).media_type, _decode(encoding.lower(), body))


def _split(boundary: str, body: bytes) -> list[bytes]:
    if not 0 < len(boundary) <= MAX_BOUNDARY or "\n" in boundary or "\r" in boundary:
        raise StructureError("multipart without a usable boundary")
    delimiter = b"--" + boundary.rstrip(" ").encode("latin-1")
    pieces: list[bytes] = []
    begin = -1
    at = 0
    while (at := body.find(delimiter, at)) >= 0:
        line_end = body.find(b"\n", at) + 1 or len(body)
        rest = body[at + len(delimiter) : line_end]
        closing = rest.startswith(b"--")
        if not rest[2 * closing :].strip() and (at == 0 or body[at - 1 : at] == b"\n"):
            if begin >= 0:
                pieces.append(body[begin:at].removesuffix(b"\n").removesuffix(b"\r"))
            if closing or len(pieces) > MAX_PARTS:
                begin = -1
                break
            begin = line_end
        at = line_end
    if begin >= 0:  # truncated: there is no delimiter after the last part
        pieces.append(body[begin:])
    if not 0 < len(pieces) <= MAX_PARTS:
        raise StructureError(f"not 1 to {MAX_PARTS} parts")
    return pieces


_EMPTY_LINE = re.compile(rb"(?:\A|\n)\r*+\n")


def _part(raw: bytes) -> Part:
    # The empty line must be within this limit.
    match = _EMPTY_LINE.search(raw, 0, MAX_PART_HEADER_BYTES)
    if match is None:
        raise StructureError("a part without an empty line after a header of bounded length")
    fields = _part_fields(raw[: match.start()])
    kind = _content_type(fields.get(b"content-type", b"text/plain"))
    encoding = fields.get(b"content-transfer-encoding", b"").lower()
    return Part(kind.media_type, _decode(encoding, raw[match.end() :]))


def _part_fields(head: bytes) -> dict[bytes, bytes]:
    """Parse the fields of a part, the first of each name; other lines are ignored."""
    fields: dict[bytes, bytes] = {}
    for line in re.sub(rb"\r*+\n(?=[ \t])", b"", head).split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


def _decode(encoding: bytes, content: bytes) -> bytes:
    """Remove a transfer encoding; unknown ones are ignored (RFC 2045 6.1 defines five)."""
    if encoding == b"quoted-printable":
        return binascii.a2b_qp(content)
    if encoding == b"base64":
        try:
            return binascii.a2b_base64(content.translate(None, b" \t\r\n"), strict_mode=True)
        except binascii.Error:
            raise StructureError("a part is not the base64 it claims to be") from None
    return content
