"""Header fields that occur at most once, and fields that DKIM signs or that need no signature."""

SINGULAR = (
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"autocrypt",
)
"""At most one is allowed (RFC 5322 3.6, RFC 2045 3); readers often show a second one instead."""

OVERSIGNED = (*SINGULAR, b"secure-join", b"chat-version")
"""Signed once more than present, so that another one cannot be added (RFC 6376 8.15)."""

SIGNED = frozenset({*OVERSIGNED, b"auto-submitted", b"x-microsoft-original-message-id"})
"""Signed as often as present."""
SIGNED_PREFIXES = (b"autocrypt", b"secure-join", b"chat-", b"content-", b"list-")
"""Fields that start like this are signed as often as present, too."""

ACCEPTED_UNSIGNED = frozenset(
    {
        b"from",  # verification requires that it is signed
        b"to",
        b"cc",
        b"subject",
        b"date",
        b"message-id",
        b"mime-version",
        b"x-microsoft-original-message-id",
        b"chat-version",
        b"chat-is-post-message",
    }
)
"""
Fields that clients need, delivered even if the author's signature does not cover them.

Classic servers choose what they sign. OpenDKIM, as many chat relays use it, leaves out Message-ID
and the two chat fields. Those only say that this is a chat message and that it is a large one.
"""
ACCEPTED_UNSIGNED_PREFIXES = (b"content-",)
"""
The largest providers do not sign Content-Type, so requiring it would refuse their mail.

A changed Content-Type makes readers interpret signed octets differently, but it adds none. Text
from another part or from inside the encryption is still the author's.
"""
