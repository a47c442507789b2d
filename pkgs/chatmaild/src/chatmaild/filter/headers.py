"""
Edits of a header, and the fields of incoming mail that are delivered.

A delivered message does not say where it was written, with what, or where it has been. The fields
of submitted mail are in `submitted`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from chatmaild.filter.policy import Kind
from chatmaild.message.structure import Header
from chatmaild.signatures.fields import (
    ACCEPTED_UNSIGNED,
    ACCEPTED_UNSIGNED_PREFIXES,
    OVERSIGNED,
)

READ = frozenset(
    {
        b"from",
        b"sender",
        b"reply-to",
        b"to",
        b"cc",
        b"subject",
        b"date",
        b"message-id",
        b"x-microsoft-original-message-id",
        b"in-reply-to",
        b"references",
        b"mime-version",
        b"auto-submitted",
        b"precedence",
        b"ephemeral-timer",
    }
)
"""Fields of incoming mail that chat clients read: core's `mimeparser` and `receive_imf`."""
READ_PREFIXES = (b"autocrypt", b"secure-join", b"chat-", b"content-", b"list-")
"""Fields that start like this are read, too."""


@dataclass(frozen=True, slots=True)
class Edit:
    """
    One change to a header, in the milter protocol's terms.

    `index` counts from 1 among the fields called `name`; 0 adds a field at the end of the header.
    With the `value` None the field is deleted.
    """

    name: bytes
    index: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Edited:
    """A header after its edits; the edits are in an order that keeps their indexes valid."""

    headers: list[Header]
    edits: list[Edit]


def lowest(headers: list[Header]) -> list[Header]:
    """
    Keep only the lowest of the fields that may occur once.

    A signature covers the lowest one. Those above it were added on the way, and some clients show
    them. Legitimate senders that repeat a field mean the same by both.
    """
    last = {name.lower(): place for place, (name, _) in enumerate(headers)}
    return [
        header
        for place, header in enumerate(headers)
        if (name := header[0].lower()) not in OVERSIGNED or last[name] == place
    ]


def clean_incoming(
    headers: list[Header],
    covered: Mapping[bytes, int] | None,
    kind: Kind,
    *,
    content_type: bytes | None = None,
) -> Edited:
    """
    Keep the fields of an incoming message that clients read and that its author signed.

    Nothing else is stored in the mailbox: where a message has been and what wrote it is of no use
    to the reader. `covered` is the number of signed fields by lower-case name, counted from the
    lowest. None means that all fields are trusted. `content_type` is the value for a rebuilt body;
    then the other Content-* fields are deleted.
    """
    total = Counter(name.lower() for name, _ in headers)
    # The signed body shows what these are, so their own signature is not required.
    unsigned = {Kind.SECURE_JOIN: b"secure-join", Kind.REPORT: b"auto-submitted"}.get(kind)
    kept: list[Header] = []
    edits: list[Edit] = []
    seen: Counter[bytes] = Counter()
    for name, value in headers:
        key = name.lower()
        seen[key] += 1
        left = total[key] - seen[key] + 1  # number of fields from this one to the lowest
        wanted: bytes | None = value
        if (
            not (key in READ or key.startswith(READ_PREFIXES))
            or (key in OVERSIGNED and left > 1)
            or not (
                covered is None
                or left <= covered.get(key, 0)
                or key in ACCEPTED_UNSIGNED
                or key.startswith(ACCEPTED_UNSIGNED_PREFIXES)
                or (unsigned is not None and key.startswith(unsigned))
            )
        ):
            wanted = None
        elif content_type is not None and key.startswith(b"content-"):
            wanted = content_type if key == b"content-type" else None
        if wanted is not None:
            kept.append((name, wanted))
        if wanted != value:
            edits.append(Edit(name, seen[key], wanted))
    # The last field of a name is edited first, because Postfix renumbers after a deletion.
    edits.reverse()
    return Edited(kept, edits)
