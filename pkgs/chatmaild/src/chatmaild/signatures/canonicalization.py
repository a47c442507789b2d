"""
Field values and bodies as DKIM hashes them (RFC 6376 3.4), in time linear in their size.

dkimpy's own versions walk trailing empty lines one by one and search for white space with a
pattern that is quadratic on long runs of it: a stranger's 30 MB of blanks would hold the filter
for hours. These give the same bytes.
"""

import re

_PAIRS = re.compile(rb"(?:\n\r)*+")
_RUNS = re.compile(rb"[ \t\r\n]+")


def relaxed_value(value: bytes) -> bytes:
    """RFC 6376 3.4.2: unfolded, runs of white space one space, none around; CRLF not added."""
    return _RUNS.sub(b" ", value).strip(b" ")


def simple_body(body: bytes) -> bytes:
    """RFC 6376 3.4.3: exactly one CRLF after the last line that is not empty."""
    ends = body[len(body.rstrip(b"\r\n")) :]
    # Only whole CRLF pairs at the very end are empty lines, so the line ends are read backwards.
    pairs = _PAIRS.match(ends[::-1])
    return body[: len(body) - (pairs.end() if pairs else 0)] + b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 3.4.4: runs of white space become one space, those at line ends vanish."""
    text = body.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    text = simple_body(text.replace(b" \r\n", b"\r\n"))
    return b"" if text == b"\r\n" else text
