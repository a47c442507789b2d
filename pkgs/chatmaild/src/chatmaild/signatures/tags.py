"""Tag lists, the syntax of signatures and key records (RFC 6376 3.2)."""

import base64
import binascii
import re

MAX_LIST_BYTES = 8192
"""A signature by an RSA key of 4096 bits over 150 names has 4 KB."""

# The RFC does not allow hyphens in names, but some senders use them. Unknown tags are ignored
# anyway.
_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_-]*")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_WHITE_SPACE = b" \t\r\n"


class UnusableError(Exception):
    """The signature or key record does not count; the message says why, for tests and debugging."""


def parse(text: bytes) -> dict[bytes, bytes]:
    """
    Parse a tag list of limited length; values are stripped of white space, empty items skipped.

    Raises `UnusableError` for a malformed list and for a repeated tag, because verifiers differ in
    which one they use.
    """
    if len(text) > MAX_LIST_BYTES:
        raise UnusableError("tag list too long")
    found: dict[bytes, bytes] = {}
    for item in text.split(b";"):
        name, equals, value = item.partition(b"=")
        name = name.strip(_WHITE_SPACE)
        if not equals and not name:
            continue
        if not equals or _NAME.fullmatch(name) is None:
            raise UnusableError("malformed tag list")
        if name in found:
            raise UnusableError("a tag is repeated")
        found[name] = value.strip(_WHITE_SPACE)
    return found


def without_value(text: bytes, tag: bytes) -> bytes:
    """Return the list with the value of one tag deleted, including white space (RFC 6376 3.7)."""
    items = text.split(b";")
    for index, item in enumerate(items):
        name, equals, _ = item.partition(b"=")
        if name.strip(_WHITE_SPACE) == tag:
            items[index] = name + equals
    return b";".join(items)


def items(value: bytes) -> list[bytes]:
    """Split a value at the colons."""
    return [item.strip(_WHITE_SPACE) for item in value.split(b":")]


def decoded(value: bytes) -> bytes:
    """Decode base64 that may contain white space; raises `UnusableError` for anything else."""
    compact = value.translate(None, _WHITE_SPACE)
    if _BASE64.fullmatch(compact) is None:
        raise UnusableError("not base64")
    try:
        return base64.b64decode(compact, validate=True)
    except binascii.Error:
        raise UnusableError("not base64") from None
