"""
Edits of a header, and which fields of mail from elsewhere are delivered.

A message tells nothing about where and with what it was written, nor where it has been. What a
submission may leave with is in `submitted`.
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
"""What chat clients read of mail from elsewhere, by core's `mimeparser` and `receive_imf`."""
READ_PREFIXES = (b"autocrypt", b"secure-join", b"chat-", b"content-", b"list-")
"""Fields that begin like this are read, too."""


@dataclass(frozen=True, slots=True)
class Edit:
    """
    One change to a header as the milter protocol counts it.

    `index` is 1-based among the fields called `name`, and 0 adds a field at the end of the header;
    `value` None deletes the field.
    """

    name: bytes
    index: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Edited:
    """A header after its edits, and the edits in an order in which their indexes stay true."""

    headers: list[Header]
    edits: list[Edit]


def lowest(headers: list[Header]) -> list[Header]:
    """
    Leave out all but the lowest of fields that may occur once.

    A signature covers the lowest; those above have been added on the way, and are what some clients
    show. Senders that write one of them twice mean the same by both.
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
    Leave of a message from elsewhere what clients read, and of that what its author vouches for.

    `covered` says how many fields of each name (lower case) the author's signature covers, the
    lowest of them; None means all of all names. `content_type` is the value that goes with another
    body, where it gets one; the old body's other Content-* fields go then. A mailbox keeps nothing
    else: where a message has been, and with what it was written, is of no use to its reader.
    """
    total = Counter(name.lower() for name, _ in headers)
    # Known by the signed body, whether the fields are signed or not.
    unsigned = {Kind.SECURE_JOIN: b"secure-join", Kind.REPORT: b"auto-submitted"}.get(kind)
    kept: list[Header] = []
    edits: list[Edit] = []
    seen: Counter[bytes] = Counter()
    for name, value in headers:
        key = name.lower()
        seen[key] += 1
        left = total[key] - seen[key] + 1  # how many from here to the lowest
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
    # Postfix renumbers after a deletion, so the last field of a name goes first.
    edits.reverse()
    return Edited(kept, edits)
